"""The exceptions that asyncframes defines.

::

    AsyncFramesError
    ├── SourceError                 the bytes could not be read
    │   ├── SourceAddressError      also ValueError
    │   ├── SourceNotFoundError     also FileNotFoundError
    │   ├── SourceNotReadyError     also RuntimeError
    │   ├── SourceAccessError       also PermissionError
    │   ├── SourceTimeoutError      also TimeoutError
    │   ├── SourceUnavailableError  also ConnectionError
    │   ├── RangeNotSupportedError
    │   ├── ShortReadError
    │   └── SourceChangedError
    ├── MediaError                  the bytes are not usable video
    │   ├── NoVideoStreamError
    │   ├── UnsupportedMediaError
    │   └── CorruptMediaError
    ├── PolicyError                 a limit of a policy or of an option
    │   ├── IsolationError          also RuntimeError
    │   ├── PolicyAccessError       also SourceAccessError
    │   └── PolicyLimitError        also ValueError
    │       ├── SourceLimitError    also SourceError
    │       ├── MediaLimitError     also UnsupportedMediaError
    │       └── DeadlineError       also TimeoutError
    ├── DecoderCrashedError         the process that decodes a video ended
    ├── FrameIndexError             also IndexError
    ├── CropError                   also ValueError
    ├── FrameEncodeError            also ValueError
    ├── FrameWriteError             a frame was decoded but could not be stored
    │   └── FrameExistsError        also FileExistsError
    │       └── FrameMismatchError
    ├── ClosedError                 also RuntimeError
    ├── ForkedError                 also RuntimeError
    ├── NoEventLoopError            also RuntimeError
    ├── NotPicklableError           also TypeError
    └── MissingExtraError           also ImportError

Other wrong arguments raise a plain ``TypeError`` or ``ValueError``. Further facts about an
error are in its attributes, ``None`` if unknown. Every error can be pickled.
"""

from __future__ import annotations

from asyncframes.errors._base import AsyncFramesError
from asyncframes.errors._frames import (
    CropError,
    FrameEncodeError,
    FrameExistsError,
    FrameIndexError,
    FrameMismatchError,
    FrameWriteError,
)
from asyncframes.errors._isolation import DecoderCrashedError, IsolationError
from asyncframes.errors._life import (
    ClosedError,
    ForkedError,
    MissingExtraError,
    NoEventLoopError,
    NotPicklableError,
)
from asyncframes.errors._media import (
    CorruptMediaError,
    MediaError,
    NoVideoStreamError,
    UnsupportedMediaError,
)
from asyncframes.errors._policy import (
    DeadlineError,
    MediaLimitError,
    PolicyAccessError,
    PolicyError,
    PolicyLimitError,
    SourceLimitError,
)
from asyncframes.errors._source import (
    RangeNotSupportedError,
    ShortReadError,
    SourceAccessError,
    SourceAddressError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    SourceNotReadyError,
    SourceTimeoutError,
    SourceUnavailableError,
)

__all__ = [
    "AsyncFramesError",
    "ClosedError",
    "CorruptMediaError",
    "CropError",
    "DeadlineError",
    "DecoderCrashedError",
    "ForkedError",
    "FrameEncodeError",
    "FrameExistsError",
    "FrameIndexError",
    "FrameMismatchError",
    "FrameWriteError",
    "IsolationError",
    "MediaError",
    "MediaLimitError",
    "MissingExtraError",
    "NoEventLoopError",
    "NoVideoStreamError",
    "NotPicklableError",
    "PolicyAccessError",
    "PolicyError",
    "PolicyLimitError",
    "RangeNotSupportedError",
    "ShortReadError",
    "SourceAccessError",
    "SourceAddressError",
    "SourceChangedError",
    "SourceError",
    "SourceLimitError",
    "SourceNotFoundError",
    "SourceNotReadyError",
    "SourceTimeoutError",
    "SourceUnavailableError",
    "UnsupportedMediaError",
]

for _name in __all__:
    # Tracebacks and pickles name the public module.
    globals()[_name].__module__ = __name__
