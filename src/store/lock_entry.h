// What RUN/lock says, and what follows from it: the part of the run's lock that touches no lock.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace moesweep {

/// Who holds a folder. In the file a `key = value` line each.
struct LockEntry {
    std::string attempt;  ///< 16 hexadecimal digits
    std::string host;     ///< its name, for people
    std::string machine;  ///< the kernel's boot and the process's pid namespace: where `process` means something
    pid_t process = 0;    ///< 0 if unknown
    std::string started;  ///< UTC
};
LockEntry own_entry();  ///< of this process, with an attempt of its own
std::string to_text(const LockEntry& entry);
/// Nothing for a file that is empty: nobody holds the folder. Fields that cannot be read are empty.
std::optional<LockEntry> parse_lock_entry(std::string_view text);

/// What flock(2) answered.
enum class Flock { taken, refused, unsupported };

/// What can be known of the holder.
struct HolderSigns {
    Flock flock = Flock::unsupported;
    bool same_machine = false;         ///< as this process
    bool process_gone = false;         ///< known on the same machine alone
    std::chrono::milliseconds age{0};  ///< since its entry was renewed, by the file system's clock
};

inline constexpr std::chrono::seconds renewal_period{5}, stale_age{30};

/// Whether a folder with an entry is held. A lock that was refused has a live holder. One that was granted has none on
/// this machine, but some file systems keep locks per host: then, and without locks, only the entry's age tells.
bool is_held(const HolderSigns& signs);

/// The signs of `entry` but for flock and age.
HolderSigns signs_of(const LockEntry& entry, const LockEntry& self);

}  // namespace moesweep
