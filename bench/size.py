"""Lines of Python per room, and of the engine: `make size`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENGINE = (
    "errors.py",
    "backend.py",
    "tape.py",
    "ops",
    "nn",
    "optim",
    "gradcheck/compare.py",
    "gradcheck/finite_difference.py",
)
"""What a reader needs to understand every gradient; the rest of `gradcheck` draws cases and searches."""


def files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def lines(paths: list[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def main() -> None:
    found = [room for top in ("minise", "cli") for room in (ROOT / top).iterdir()]
    rooms = [room for room in found if room.suffix == ".py" or (room.is_dir() and files(room))]
    for room in sorted(rooms, key=lambda room: -lines(files(room))):
        own = files(room)
        longest = max(own, key=lambda path: lines([path]))
        name = room.relative_to(ROOT).as_posix()
        print(f"{lines(own):7,}  {name:24} {len(own):3} files, longest {longest.name} {lines([longest])}")
    engine = [file for name in ENGINE for file in files(ROOT / "minise" / name)]
    print(f"{lines(engine):7,}  the engine: {', '.join(ENGINE)}")
    print(f"{lines([file for room in rooms for file in files(room)]):7,}  in all")


if __name__ == "__main__":
    main()
