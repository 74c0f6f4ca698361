"""The pictures of the tutorials: runs every example and keeps its pictures, without margins and in few colours.

python docs/make_pictures.py
"""

import importlib
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
MARGIN, COLOURS, WIDEST = 12, 224, 900


def shrink(source, target):
    """The picture without its white border, at most `WIDEST` pixels wide, with a palette."""
    picture = Image.open(source).convert("RGB")
    left, top, right, bottom = ImageChops.invert(picture).getbbox()
    box = (left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN)
    picture = ImageChops.invert(ImageChops.invert(picture).crop(box))  # what lies beyond the border is white
    picture.thumbnail((WIDEST, WIDEST))
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(target, optimize=True)


def main():
    """Run the examples and fill docs/pictures."""
    sys.path.insert(0, str(EXAMPLES))
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(EXAMPLES.glob("tutorial_*.py")):
            importlib.import_module(path.stem).main(folder)
        for source in sorted(Path(folder).glob("*.png")):
            target = HERE / "pictures" / source.name
            shrink(source, target)
            print(f"{target.name}: {target.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
