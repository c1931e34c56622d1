"""Pictures made anew: upright, in sRGB, and without a word of where, when or by what they were taken."""

import io
from contextlib import suppress

import msgspec
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""By what the bytes are: what a sender calls them does not count."""
MAX_PIXELS = 50_000_000
"""What a phone takes, 200 MB once it is unpacked; a small file may claim to be far more."""
QUALITIES = (90, 75, 50)
"""The first that is small enough."""


class NotAPicture(ValueError):
    """None of these formats, or broken."""


class TooManyPixels(ValueError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"the image has more than {limit:,} pixels")
        self.limit = limit


class TooLargeAnew(ValueError):
    """However it is written, it is larger than what is kept may be."""


class Picture(msgspec.Struct, frozen=True):
    content: bytes
    media_type: str


def made_anew(content: bytes, max_bytes: int, max_pixels: int = MAX_PIXELS) -> Picture:
    """The same bytes always give the same. Raises NotAPicture, TooManyPixels, TooLargeAnew."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(FORMATS)) as opened:
            if opened.width * opened.height > max_pixels:
                raise TooManyPixels(max_pixels)
            image_format = str(opened.format)
            plain = bare(opened)
    except TooManyPixels:
        raise
    except Image.DecompressionBombError as bomb:  # Pillow's own bound is above ours
        raise TooManyPixels(max_pixels) from bomb
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as broken:
        raise NotAPicture(f"not an image of {', '.join(FORMATS.values())}, or a broken one") from broken
    return Picture(written(plain, image_format, max_bytes), FORMATS[image_format])


def bare(opened: Image.Image) -> Image.Image:
    """Pixels alone. At its peak the picture is in memory twice."""
    ImageOps.exif_transpose(opened, in_place=True)
    upright = in_srgb(opened)
    image = upright.convert(mode_of(upright))
    image.info.clear()
    return image


def mode_of(image: Image.Image) -> str:
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L", "I;16") else "RGB"


def in_srgb(image: Image.Image) -> Image.Image:
    """Colours as they were meant, so that the profile may go. One that cannot be read goes anyway."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        with suppress(ImageCms.PyCMSError, OSError):
            kept = "RGBA" if image.mode == "RGBA" else "RGB"
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            turned = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=kept)
            return turned or image
    return image


def written(image: Image.Image, image_format: str, max_bytes: int) -> bytes:
    if image_format == "JPEG" and image.mode == "RGBA":
        image = image.convert("RGB")
    for quality in QUALITIES:
        made = io.BytesIO()
        image.save(made, image_format, quality=quality)
        if made.tell() <= max_bytes:
            return made.getvalue()
    raise TooLargeAnew(f"made anew the image has more than {max_bytes:,} bytes: send a smaller one")
