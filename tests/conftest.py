"""What holds for every test."""

import os

# Tests start children from processes that use gRPC, whose fork handlers would crash them.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
