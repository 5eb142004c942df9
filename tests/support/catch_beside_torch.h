// Catch2 in a file that includes torch: both have a macro CHECK, and tests want Catch2's.
#pragma once
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/util/Logging.h>

#undef CHECK
#include <catch2/catch.hpp>
