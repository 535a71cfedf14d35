// The subcommands. Each function adds one to the program: its options, its examples and the callback that runs it. A
// callback throws UsageError, Error or Interrupted; main turns them into one line on stderr and an exit code.
//
// The description of a subcommand is one line; its examples are its footer (`sub->footer("Examples:\n  doppel ...")`),
// which the program's help prints first.
#pragma once

namespace CLI {
class App;
}

namespace doppel {

void add_actors(CLI::App& app);
void add_extract(CLI::App& app);
void add_train(CLI::App& app);
void add_convert(CLI::App& app);
void add_plan(CLI::App& app);
void add_demo(CLI::App& app);
void add_info(CLI::App& app);

}  // namespace doppel
