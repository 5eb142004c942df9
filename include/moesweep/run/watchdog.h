// Ends a run that no longer moves. Every rank says what it is at; a thread of its own looks at the ranks of this node
// (which share a little memory for it), and when one of them has not moved for too long, says which, in which phase,
// and ends all. A rank that waits for others in MPI is not the one to blame as long as another one can be named. Time
// for which a run was suspended does not count.
#pragma once
#include <memory>
#include <string>

#include "moesweep/comm/comm.h"

namespace moesweep {

class Watchdog {
  public:
    /// Every rank calls it, in the thread that is to work. 0 seconds: nobody watches.
    Watchdog(const Comm& world, double seconds);
    ~Watchdog();
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    /// By what it is seen that a rank moves. work: this thread reads, writes or computes, as the kernel counts it, or
    /// waits for others in MPI; that is enough where the only fear is a file system that does not answer.
    enum class Signs { ticks, work };
    /// Enters a phase, "sweep" for instance. In the empty one nobody watches.
    void phase(const std::string& name, Signs signs = Signs::ticks);
    /// Work goes on. Cheap enough to be called hundreds of times a second.
    void tick();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace moesweep
