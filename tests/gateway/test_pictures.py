"""Pictures made anew: what is seen stays, what is said about it goes."""

from io import BytesIO

import pytest
from cameras import UPSIDE_DOWN, gradient, phone_photo, plain_png, profile_with_red_for_green, with_profile
from PIL import Image, PngImagePlugin

from gateway.pictures import NotAPicture, TooLargeAnew, TooManyPixels, made_anew

ENOUGH = 5 << 20


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


def in_format(kind: str, image: Image.Image | None = None, **more: object) -> bytes:
    made = BytesIO()
    (image or gradient(64, 32)).save(made, kind, **more)
    return made.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_keeps_its_format_and_loses_what_its_camera_wrote(kind: str):
    sent = phone_photo(kind=kind)
    assert b"Camera & Sons" in sent
    made = made_anew(sent, ENOUGH)
    assert (opened(made.content).format, made.media_type) == (kind, f"image/{kind.lower()}")
    assert not opened(made.content).getexif()
    for word in (b"Camera & Sons", b"at Cleo's door", b"Exif", b"eXIf", b"EXIF"):
        assert word not in made.content


def test_what_a_png_says_in_words_goes():
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "at Cleo's door")
    made = made_anew(in_format("PNG", pnginfo=words), ENOUGH)
    assert b"Cleo" not in made.content
    assert opened(made.content).info == {}


def test_a_picture_that_was_held_upside_down_stands_upright():
    upright, turned = opened(phone_photo()), opened(made_anew(phone_photo(UPSIDE_DOWN), ENOUGH).content)
    for place in ((5, 5), (60, 28)):
        seen = turned.getpixel((63 - place[0], 31 - place[1]))
        assert all(abs(a - b) < 24 for a, b in zip(seen, upright.getpixel(place), strict=True))


def test_colours_are_turned_to_srgb_before_their_profile_goes():
    made = opened(made_anew(with_profile(profile_with_red_for_green()), ENOUGH).content)
    assert "icc_profile" not in made.info
    red, green, _ = made.getpixel((5, 5))
    assert green > 150 > red, "it was red by its numbers, and green by its profile"


def test_a_profile_that_cannot_be_read_goes_and_the_picture_stays():
    made = opened(made_anew(with_profile(b"no profile at all"), ENOUGH).content)
    assert "icc_profile" not in made.info
    assert made.getpixel((5, 5))[0] > 150


@pytest.mark.parametrize(
    ("mode", "colour", "kept"),
    [
        ("1", 1, "L"),
        ("L", 7, "L"),
        ("P", 3, "RGB"),
        ("RGB", (1, 2, 3), "RGB"),
        ("RGBA", (1, 2, 3, 4), "RGBA"),
        ("I;16", 300, "L"),
    ],
)
def test_a_drawing_keeps_what_can_be_seen_through_it(mode: str, colour: object, kept: str):
    assert opened(made_anew(in_format("PNG", Image.new(mode, (8, 8), colour)), ENOUGH).content).mode == kept  # type: ignore[arg-type]


def test_a_picture_for_print_becomes_one_for_screens():
    made = made_anew(in_format("JPEG", gradient(8, 8).convert("CMYK")), ENOUGH)
    assert opened(made.content).mode == "RGB"


def test_of_a_moving_picture_the_first_frame_is_kept():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    made = made_anew(in_format("WEBP", frames[0], save_all=True, append_images=frames[1:]), ENOUGH)
    assert getattr(opened(made.content), "n_frames", 1) == 1
    assert min(opened(made.content).convert("L").tobytes()) > 240


def test_the_same_bytes_give_the_same():
    assert made_anew(phone_photo(), ENOUGH) == made_anew(phone_photo(), ENOUGH)


@pytest.mark.parametrize("side", [7_100, 20_000])
def test_a_bomb_is_told_by_its_header(side: int):
    bomb = plain_png(side, side)
    assert len(bomb) < 100_000
    with pytest.raises(TooManyPixels):
        made_anew(bomb, ENOUGH)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Dear sir",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff" + b"x" * 100,
        phone_photo()[:400],
        in_format("GIF"),
        in_format("TIFF"),
    ],
)
def test_what_is_no_picture_of_these_kinds_or_a_broken_one_is_refused(content: bytes):
    with pytest.raises(NotAPicture):
        made_anew(content, ENOUGH)


def test_one_that_grows_is_written_more_coarsely_until_it_fits():
    noisy = Image.effect_noise((256, 256), 90)
    sent = in_format("JPEG", noisy, quality=60)
    fine = made_anew(sent, ENOUGH).content
    assert len(fine) > len(sent), "else nothing is shown here"
    assert len(made_anew(sent, len(fine) - 1).content) < len(fine)
    with pytest.raises(TooLargeAnew):
        made_anew(sent, 100)
