"""Pictures as phones take them, and as nobody should."""

from io import BytesIO

from PIL import Image, ImageCms
from PIL.Image import Exif

GPS, ORIENTATION, MAKE = 0x8825, 0x0112, 0x010F
LATITUDE_REF, LATITUDE = 1, 2
UPSIDE_DOWN = 3
MOST = 64


def gradient(width: int, height: int) -> Image.Image:
    """Dark above, bright below; red on the left."""
    image = Image.new("RGB", (width, height))
    image.putdata([(200 if x < width // 2 else 0, 255 * y // height, 0) for y in range(height) for x in range(width)])
    return image


def phone_photo(orientation: int = 1, kind: str = "JPEG") -> bytes:
    """With its camera's make, its place on earth, a comment, and how it was held."""
    exif = Exif()
    exif[MAKE], exif[ORIENTATION] = "Camera & Sons", orientation
    exif.get_ifd(GPS).update({LATITUDE_REF: "N", LATITUDE: (60.0, 10.0, 7.68)})
    made = BytesIO()
    more = {"comment": b"at Cleo's door"} if kind == "JPEG" else {}
    gradient(MOST, MOST // 2).save(made, kind, exif=exif, quality=95, **more)
    return made.getvalue()


def with_profile(profile: bytes) -> bytes:
    made = BytesIO()
    gradient(MOST, MOST).save(made, "JPEG", icc_profile=profile, quality=95)
    return made.getvalue()


def profile_with_red_for_green() -> bytes:
    """sRGB with its first two colours exchanged: whoever leaves it out shows a red door in green."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb.replace(b"rXYZ", b"~~~~").replace(b"gXYZ", b"rXYZ").replace(b"~~~~", b"gXYZ")


def plain_png(width: int, height: int) -> bytes:
    made = BytesIO()
    Image.new("1", (width, height)).save(made, "PNG")
    return made.getvalue()


def pixels_of(content: bytes) -> bytes:
    with Image.open(BytesIO(content)) as opened:
        return opened.convert("RGB").tobytes()
