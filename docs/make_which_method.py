"""The picture of the page on which method to take: five of them on two blobs.

python docs/make_which_method.py
"""

from pathlib import Path

from descender import compare
from descender.pictures.style import save

PICTURE = Path(__file__).parent / "pictures" / "which-method.png"


def main():
    """Race them, and keep the picture small."""
    from make_pictures import shrink

    race = compare("example:blobs", methods=["auto", "gd", "sgd", "saga", "svrg"], max_epochs=20)
    print(*race.answers, sep="\n")
    shrink(save(race.plot(), PICTURE), PICTURE)


if __name__ == "__main__":
    main()
