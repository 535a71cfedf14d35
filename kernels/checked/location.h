// Places in the program, and what a reader calls them.
#pragma once

#include <source_location>
#include <string>

#include "kernels/checked/shadow.h"

namespace doppel::emulator {

// Of a return address; of a source location.
Place place_of(const void* return_address);
Place place_of(std::source_location where);

// "file:line" in the kernel: lines of kernels/device/ that were inlined there give way to the line that called them.
std::string text_of(Place place);

// Whether the address is one of the program's own code, constants or variables.
bool is_static(const void* address);

}  // namespace doppel::emulator
