#include "lock_entry.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

/// A host's name is not enough: containers and cloned machines share names, and process ids mean something in one pid
/// namespace alone. Empty where the kernel does not say, which then equals no other.
std::string machine_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string boot;
    std::error_code error;
    const std::string names = std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
    return std::getline(file, boot) && !error ? boot + " " + names : "";
}

std::string random_attempt() {
    std::uint64_t drawn;
    if (::getentropy(&drawn, sizeof drawn) != 0) fail(Exit::internal, "the system gives no random numbers");
    return fmt::format("{:016x}", drawn);
}

std::string now() {
    const std::time_t t = std::time(nullptr);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&t));
    return text.data();
}

/// The value of `key = value`, or nothing.
std::string field(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        if (line.starts_with(key) && line.substr(key.size()).starts_with(" = "))
            return std::string(line.substr(key.size() + 3));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return {};
}

}  // namespace

LockEntry own_entry() {
    return {random_attempt(), host_name(), machine_id(), ::getpid(), now()};
}

std::string to_text(const LockEntry& entry) {
    return fmt::format("attempt = {}\nhost = {}\nmachine = {}\nprocess = {}\nstarted = {}\n", entry.attempt, entry.host,
                       entry.machine, entry.process, entry.started);
}

std::optional<LockEntry> parse_lock_entry(std::string_view text) {
    if (text.empty()) return std::nullopt;
    LockEntry entry{field(text, "attempt"), field(text, "host"), field(text, "machine"), 0, field(text, "started")};
    const std::string process = field(text, "process");
    std::from_chars(process.data(), process.data() + process.size(), entry.process);
    return entry;
}

bool is_held(const HolderSigns& signs) {
    if (signs.flock == Flock::refused) return true;
    if (signs.same_machine && (signs.flock == Flock::taken || signs.process_gone)) return false;
    return std::chrono::abs(signs.age) < stale_age;  // a time that far ahead was not set by this clock
}

HolderSigns signs_of(const LockEntry& entry, const LockEntry& self) {
    HolderSigns signs;
    signs.same_machine = !entry.machine.empty() && entry.machine == self.machine;
    signs.process_gone = signs.same_machine && entry.process > 0 && ::kill(entry.process, 0) != 0 && errno == ESRCH;
    return signs;
}

}  // namespace moesweep
