"""Files of plain values: JSON, or YAML."""

from __future__ import annotations

from typing import Final

import msgspec

from cri_shim.errors import InvalidArgument
from cri_shim.linux.files import read_regular

_MAX_BYTES: Final = 10 << 20


def read(path: str) -> object:
    """The plain values of a file of JSON, or of YAML, whatever its name ends with. Blocks.

    Raises OSError, with EFBIG for one above 10 MiB, InvalidArgument for what is neither.
    """
    data = read_regular(path, _MAX_BYTES)
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        import yaml  # noqa: PLC0415  (few nodes have such files: 20 ms and 3 MB less at every start)

        try:
            return yaml.load(data, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)  # noqa: S506
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise InvalidArgument(f"neither JSON nor YAML: {' '.join(str(error).split())}") from error
