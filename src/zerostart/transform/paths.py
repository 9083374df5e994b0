"""JSONPath as SageMaker's InputFilter and OutputFilter use it.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html#data-processing-operators
"""

from collections.abc import Mapping
from typing import Any

import jsonpath

from zerostart.errors import InvalidInput, shortened


class Selection:
    """A compiled path. Raises InvalidInput for one that is not JSONPath."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._compiled = None if path == "$" else jsonpath.compile(path)
        except jsonpath.JSONPathError as error:
            raise InvalidInput(f"{shortened(path)} is not a JSONPath: {str(error).splitlines()[0]}.") from error

    def of(self, document: Any) -> Any:
        """What the path selects: one value itself, members of one object as an object, other values as a list.

        Raises InvalidInput where it selects nothing.
        """
        if self._compiled is None:
            return document
        matches = list(self._compiled.finditer(document)) if isinstance(document, Mapping | list) else []
        if not matches:
            raise InvalidInput(f"The path {shortened(self._path)} selects nothing of this record.")
        if len(matches) == 1 and "," not in self._path:
            return matches[0].value
        parents = {match.parts[:-1] for match in matches}
        names = [match.parts[-1] for match in matches]
        if len(parents) == 1 and all(isinstance(name, str) for name in names):
            return {str(match.parts[-1]): match.value for match in matches}
        return [match.value for match in matches]
