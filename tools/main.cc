// doppel SUBCOMMAND: parses the command line, runs one subcommand and turns what it throws into an exit code.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <new>

#include "kernels/left_out.h"
#include "runtime/error.h"
#include "runtime/idle_threads.h"
#include "runtime/interrupt.h"
#include "tools/commands.h"

namespace doppel {
namespace {

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kInterrupted = 130 };

constexpr const char* kExamples =
    "Examples:\n"
    "  doppel demo                                     see it work, without any input\n"
    "  doppel extract anna.mp4 -o anna.faces           cut the faces out of a clip\n"
    "  doppel train anna=anna.faces ben=ben.faces -o both.model --minutes 20\n"
    "  doppel convert anna.mp4 -m both.model --to ben -o swapped.mp4\n"
    "  doppel info swapped.mp4                         what a file is, and whether it is marked as synthetic";

// Help opens with the examples (the footer), because they are what people look for.
class ExamplesFirst : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    if (mode == CLI::AppFormatMode::Sub) return CLI::Formatter::make_help(app, name, mode);
    return app->get_footer() + "\n\n" + CLI::Formatter::make_help(app, name, mode);
  }
  std::string make_footer(const CLI::App*) const override { return ""; }
};

// "usage: doppel convert INPUT... -m MODEL --to NAME -o OUT": the choices, from the options themselves.
std::string usage_line(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) {
    std::string names;
    for (const CLI::App* sub : app.get_subcommands({})) names += (names.empty() ? "" : "|") + sub->get_name();
    return "usage: doppel " + names + " [options] (doppel --help for examples)";
  }
  const CLI::App& sub = *chosen.front();
  std::string required, optional;
  for (const CLI::Option* option : sub.get_options()) {
    if (option->get_positional()) {
      required += " " + option->get_name(true) + (option->get_expected_max() > 1 ? " ..." : "");
      continue;
    }
    if (option->check_name("--help")) continue;
    std::string text = option->get_name();
    if (option->get_items_expected() > 0) text += " " + option->get_type_name();
    (option->get_required() ? required : optional) += option->get_required() ? " " + text : " [" + text + "]";
  }
  return "usage: doppel " + sub.get_name() + required + optional;
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

int fail(const std::string& message, ExitCode code) {
  std::cout.flush();
  std::fprintf(stderr, "doppel: %s\n", one_line(message).c_str());
  return code;
}

int usage(const CLI::App& app, const std::string& message) {
  fail(message, kUsage);
  std::fprintf(stderr, "%s\n", usage_line(app).c_str());
  return kUsage;
}

// CLI11 looks for what is missing before it looks at what it did not understand, which is the likelier mistake.
std::string parse_complaint(const CLI::App& app, const CLI::ParseError& error) {
  const auto unknown = app.remaining(true);
  if (unknown.empty() || error.get_exit_code() != static_cast<int>(CLI::ExitCodes::RequiredError)) return error.what();
  const bool option = unknown.front().starts_with("-");
  return unknown.front() + (option                          ? ": no such option"
                            : app.get_subcommands().empty() ? ": no such subcommand"
                                                            : ": not expected here");
}

int run(int argc, char** argv) {
  CLI::App app{"Trains an autoencoder that swaps faces, and swaps them.", "doppel"};
  app.footer(kExamples);
  app.formatter(std::make_shared<ExamplesFirst>());
  app.set_version_flag("--version", "doppel " DOPPEL_VERSION);
  app.require_subcommand(1);
  add_demo(app);
  add_extract(app);
  add_train(app);
  add_plan(app);
  add_convert(app);
  add_info(app);
  add_actors(app);
  try {
    left_out("");
  } catch (const std::exception& e) {
    return fail(e.what(), kUsage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help and --version
    return usage(app, parse_complaint(app, e));
  } catch (const UsageError& e) {
    return usage(app, e.what());
  } catch (const Interrupted& e) {
    return fail(e.what(), kInterrupted);
  } catch (const std::bad_alloc&) {
    return fail("out of memory: close other programs, or work on a smaller batch, network or picture", kFailed);
  } catch (const std::exception& e) {
    return fail(e.what(), kFailed);
  }
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0) return fail("cannot write to standard output", kFailed);
  return kDone;
}

}  // namespace
}  // namespace doppel

int main(int argc, char** argv) {
  doppel::let_idle_threads_sleep(argv);
  // Writing to a pipe that nobody reads any more (`doppel info m | head -1`) fails like any other write instead of
  // killing the program before it has saved its work.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // the same for a file that grows beyond the user's limit
  doppel::catch_interrupts();
  return doppel::run(argc, argv);
}
