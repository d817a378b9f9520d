"""Generated files: what heads them, and how they reach the disk."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile

import jinja2
from rmdlora.golden.spec.refusal import RefusedValue

__all__ = ["configuration_tables", "heading", "render", "write_when_changed"]

TEMPLATES = pathlib.Path(__file__).parent / "templates"
MARKUP = (".html.j2", ".svd.j2")        # what is written into these is escaped


def configuration_tables(configuration):
    """The configuration as ``{section: {key: value}}``, every key written out."""
    tables = dataclasses.asdict(configuration)
    tables.pop("name")
    return tables


def heading(configuration, comment):
    """Lines that say what made a file and from what, each behind the text ``comment``."""
    lines = [f"made by rmdlora from configuration {configuration.name!r}; do not edit"]
    for section, values in configuration_tables(configuration).items():
        lines.append(f"[{section}] " + ", ".join(f"{key} = {value}" for key, value in values.items()))
    return "".join(f"{comment} {line}\n" for line in lines)


def render(template, configuration, comment, **values):
    """The text of a template of this package: ``heading`` is as `heading` gives it, besides ``configuration`` and
    ``values``. A name the template asks for and nobody gave is an error."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined,
                                     autoescape=template.endswith(MARKUP), trim_blocks=True, lstrip_blocks=True,
                                     keep_trailing_newline=True)
    return environment.get_template(template).render(heading=heading(configuration, comment).rstrip("\n"),
                                                     configuration=configuration, **values)


def write_when_changed(path, text):
    """Write ``text`` to ``path`` unless it stands there already; return the path.

    The file is replaced as a whole: whoever reads it sees the old text or the new, never a part. Refuses a folder that
    cannot be made or written.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == text.encode():
            return path
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with open(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.chmod(temporary, 0o644)      # as any other file of its owner; temporary ones are private
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as problem:
        raise RefusedValue(f"{path.parent} must be a folder that can be written, not one that cannot "
                           f"({problem.strerror})") from None
    return path
