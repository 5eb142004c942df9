"""A run of any method: its file's groups as frames."""

import configparser
import json
import pathlib

from .store import Folder, RunError, attributes


class Run:
    """A run of any method. Every group of the file is an attribute, read when it is first asked for: a frame
    (`run.answers`), or frames by name where it holds groups (`run.results["main_results"]`); `run.vectors`, where there
    are any, are arrays by name. store.py says what a frame is."""

    path: pathlib.Path  # the run's folder
    file: pathlib.Path  # its HDF5 file
    meta: dict  # attributes of /meta, as text: what was computed
    provenance: dict  # attributes of /provenance, as text: how, where and when
    config: configparser.ConfigParser  # the configuration, every key of it
    required = {"results": []}  # groups that must be there -> columns that must be in them

    def __init__(self, path, file):
        self.path, self.file, self._root = path.parent, path, Folder(file)
        self._require({"meta": [], "provenance": []} | self.required)
        self.meta, self.provenance = attributes(file["meta"]), attributes(file["provenance"])
        self.config = configparser.ConfigParser(interpolation=None)
        try:  # /provenance holds every key, /meta those that change a number
            self.config.read_string(self.provenance.get("config") or self.meta.get("config", ""))
        except configparser.Error as error:
            raise RunError(f"{path}: /meta: config: {str(error).splitlines()[0]}") from None

    def _require(self, groups):
        for group, columns in groups.items():
            for part in (group, *(f"{group}/{column}" for column in columns)):
                if part not in self._root.group:
                    raise RunError(f"{self.file}: /{part}: {'group' if part == group else 'dataset'} is missing")

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._root:
            raise AttributeError(f"{self.file}: /{name}: group is missing")
        return Folder(self._root.group[name]) if name == "vectors" else self._root[name]

    def __dir__(self):
        return [*super().__dir__(), *self._root]

    def __repr__(self):
        return f"<{type(self).__name__} {self.file}: {', '.join(self._root)}>"

    def setting(self, key):
        """A key of the configuration, such as noise.scale, as text; None where it is absent."""
        return self.config.get(*key.split("."), fallback=None)

    def number(self, name):
        """A number of /meta, or None where it is absent."""
        return int(self.meta[name]) if name in self.meta else None

    def table(self, name, columns):
        """A frame of /results that has these columns, or a RunError that names what is missing."""
        self._require({f"results/{name}": []})
        for column in columns:
            if column not in self.results[name]:
                raise RunError(f"{self.file}: /results/{name}/{column}: dataset is missing")
        return self.results[name]

    def frames(self):
        """(path, frame) of every table of the file."""
        for name in self._root:
            if name not in ("meta", "provenance", "vectors"):
                part = getattr(self, name)
                yield from part.frames(f"{name}/") if hasattr(part, "frames") else [(name, part)]

    def to_parquet(self, folder):
        """Writes every table as a Parquet file, such as FOLDER/rows.parquet and FOLDER/results/layers.parquet, with
        units and meanings in the file's metadata, and /meta and /provenance as JSON. Needs pyarrow."""
        folder = pathlib.Path(folder)
        for name, table in self.frames():
            file = folder / f"{name}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            table.to_parquet(file, engine="pyarrow")
        for name in ("meta", "provenance"):
            text = json.dumps(getattr(self, name), indent=1, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
