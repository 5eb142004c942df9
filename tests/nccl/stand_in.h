// A stand-in for libnccl: those of NCCL's calls that we make, over MPI and host memory. Here is what tests may ask of
// it beyond them.
#pragma once
#include <nccl.h>

#include <string>

/// The next call of this name fails so.
void stand_in_refuses(const std::string& call, ncclResult_t result);
/// What goes wrong in every communicator from now on while nobody calls it; ncclSuccess: nothing any more.
void stand_in_fails_behind(ncclResult_t result);
/// How often the call has been made.
int stand_in_calls(const std::string& call);
