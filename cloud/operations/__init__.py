"""What an operator's machines ask a running cloud: is it alive, may it be sent traffic, how is it doing.

Nothing here tells anything of a household: counts, ages and states only. It may import the rest of the cloud; nothing
of the cloud imports it but the application.
"""

from cloud.operations.routes import operations_router

__all__ = ["operations_router"]
