// The stand-in for libnccl that the tests build: NCCL's calls, as far as we make them, over MPI and host memory. What a test
// may ask of it beside them.
#pragma once
#include <nccl.h>

#include <string>

/// The next call of this name fails so.
void stand_in_refuses(const std::string& call, ncclResult_t result);
/// What goes wrong in every communicator from now on while nobody calls it; ncclSuccess: nothing any more.
void stand_in_fails_behind(ncclResult_t result);
/// How often the call has been made.
int stand_in_calls(const std::string& call);
