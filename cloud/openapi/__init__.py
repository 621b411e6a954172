"""The HTTP interface as one OpenAPI 3.1 document: every operation with examples of what is sent, answered and refused.

The routes say what they are; `operations` adds what an example can show best, and a test holds both against a running
cloud. It imports nothing of the cloud but the media types.
"""

from cloud.openapi.document import describe

__all__ = ["describe"]
