// Catch2 in a file that uses torch: both have a macro CHECK, and the test wants Catch2's.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/util/Logging.h>

#undef CHECK
#include <catch2/catch.hpp>
