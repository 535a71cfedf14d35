// Ctrl-C and SIGTERM ask long work to stop at the next safe point.
#pragma once

namespace doppel {

// Installs the handlers, and forgets what came before: the first signal raises the flag, a third one ends the process at
// once.
void catch_interrupts();

// True once the user asked to stop. Loops poll it between units of work that must not be torn.
bool interrupted();

}  // namespace doppel
