// C shim for KVMEngine: what Swift can't import (variadic ioctl, macros, unions, signal handlers).
#pragma once
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/types.h>

// ioctl with an integer argument. Returns the ioctl's result, or -errno.
int ckvm_ioctl(int fd, unsigned long request, unsigned long argument);
// ioctl with a pointer argument. Returns the ioctl's result, or -errno.
int ckvm_ioctl_pointer(int fd, unsigned long request, void *argument);

// Request numbers, since Swift can't import the _IO macros.
enum ckvm_request {
  CKVM_GET_API_VERSION,
  CKVM_CREATE_VM,
  CKVM_CHECK_EXTENSION,
  CKVM_GET_VCPU_MMAP_SIZE,
  CKVM_GET_SUPPORTED_CPUID,
  CKVM_CREATE_VCPU,
  CKVM_SET_USER_MEMORY_REGION,
  CKVM_GET_DIRTY_LOG,
  CKVM_SET_TSS_ADDR,
  CKVM_SET_IDENTITY_MAP_ADDR,
  CKVM_ENABLE_CAP,
  CKVM_CREATE_IRQCHIP,
  CKVM_CREATE_PIT2,
  CKVM_SET_GSI_ROUTING,
  CKVM_SIGNAL_MSI,
  CKVM_IRQ_LINE,
  CKVM_GET_IRQCHIP,
  CKVM_SET_IRQCHIP,
  CKVM_RUN,
  CKVM_GET_REGS,
  CKVM_SET_REGS,
  CKVM_GET_SREGS,
  CKVM_SET_SREGS,
  CKVM_SET_CPUID2,
  CKVM_INTERRUPT,
  CKVM_NMI,
  CKVM_GET_LAPIC,
  CKVM_SET_LAPIC,
  CKVM_GET_MP_STATE,
  CKVM_SET_MP_STATE,
  CKVM_GET_VCPU_EVENTS,
  CKVM_SET_VCPU_EVENTS,
  CKVM_GET_MSRS,
  CKVM_SET_MSRS,
  CKVM_GET_FPU,
  CKVM_SET_FPU,
  CKVM_GET_XCRS,
  CKVM_SET_XCRS,
  CKVM_GET_DEBUGREGS,
  CKVM_SET_DEBUGREGS,
  CKVM_GET_XSAVE,
  CKVM_SET_XSAVE,
  CKVM_GET_CLOCK,
  CKVM_SET_CLOCK,
  CKVM_REQUEST_COUNT
};
unsigned long ckvm_request_number(enum ckvm_request request);

// The parts of struct kvm_run that lie in its unions.
struct ckvm_io_exit {
  uint8_t direction;  // KVM_EXIT_IO_IN or KVM_EXIT_IO_OUT
  uint8_t size;       // bytes: 1, 2 or 4
  uint16_t port;
  uint32_t count;
  void *data;
};
static inline struct ckvm_io_exit ckvm_io(struct kvm_run *run) {
  return (struct ckvm_io_exit){run->io.direction, run->io.size, run->io.port, run->io.count,
                               (uint8_t *)run + run->io.data_offset};
}
static inline uint64_t ckvm_mmio_address(const struct kvm_run *run) { return run->mmio.phys_addr; }
static inline uint32_t ckvm_mmio_length(const struct kvm_run *run) { return run->mmio.len; }
static inline bool ckvm_mmio_is_write(const struct kvm_run *run) { return run->mmio.is_write; }
static inline void *ckvm_mmio_data(struct kvm_run *run) { return run->mmio.data; }
static inline uint8_t ckvm_eoi_vector(const struct kvm_run *run) { return run->eoi.vector; }
static inline uint64_t ckvm_hardware_entry_failure(const struct kvm_run *run) {
  return run->fail_entry.hardware_entry_failure_reason;
}
static inline uint32_t ckvm_internal_suberror(const struct kvm_run *run) {
  return run->internal.suberror;
}
static inline uint32_t ckvm_system_event(const struct kvm_run *run) {
  return run->system_event.type;
}
// Copies up to 15 instruction bytes of an emulation failure; returns how many there were.
uint32_t ckvm_failed_instruction(const struct kvm_run *run, uint8_t bytes[15]);

static inline struct kvm_regs *ckvm_sync_regs(struct kvm_run *run) { return &run->s.regs.regs; }
static inline struct kvm_sregs *ckvm_sync_sregs(struct kvm_run *run) { return &run->s.regs.sregs; }
static inline struct kvm_vcpu_events *ckvm_sync_events(struct kvm_run *run) {
  return &run->s.regs.events;
}

static inline void ckvm_set_immediate_exit(struct kvm_run *run, uint8_t value) {
  __atomic_store_n(&run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

// The kick: a signal whose handler sets the exit flag of the vCPU that the receiving thread runs
// (immediate_exit of its kvm_run, or what another engine looks at), so that it is not lost when it
// lands just before guest code is entered.
int ckvm_install_kick_handler(void);
// Says which exit flag the calling thread's kicks set; NULL when it runs no vCPU any more.
void ckvm_set_exit_flag(uint8_t *flag);
static inline uint8_t *ckvm_exit_flag(struct kvm_run *run) { return &run->immediate_exit; }
// Whether the calling thread was kicked since it last asked, by anybody or by its timer.
bool ckvm_take_kick(void);
// Sleeps until a signal comes, or another thread changes the word at `run` and sends one. Returns at once
// where an exit was asked for already.
void ckvm_sleep(struct kvm_run *run);

// A timer on CLOCK_MONOTONIC that kicks the calling thread. Returns its number or -errno.
int ckvm_kick_timer_create(void);
// Arms it for the absolute time `deadline` (nanoseconds); 0 disarms it.
void ckvm_kick_timer_arm(int timer, uint64_t deadline);
void ckvm_kick_timer_delete(int timer);
int ckvm_send_kick(pthread_t thread);

// A memory file of `size` bytes. Returns the descriptor or -errno.
int ckvm_memory_file(const char *name, uint64_t size);
int ckvm_open(const char *path, int flags);

// Names a thread as top -H shows it; what is over 15 bytes is cut.
void ckvm_name_thread(pthread_t thread, const char *name);
// Blocks every signal but the kick in the calling thread.
void ckvm_block_signals(void);

// CLOCK_MONOTONIC in nanoseconds.
uint64_t ckvm_monotonic(void);
// EAX, EBX, ECX, EDX of the host's CPUID.
void ckvm_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

// A mutex with a condition whose waits end at a CLOCK_MONOTONIC deadline (nanoseconds).
struct ckvm_monitor {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
};
struct ckvm_monitor *ckvm_monitor_create(void);
void ckvm_monitor_destroy(struct ckvm_monitor *monitor);
void ckvm_monitor_lock(struct ckvm_monitor *monitor);
void ckvm_monitor_unlock(struct ckvm_monitor *monitor);
void ckvm_monitor_wait(struct ckvm_monitor *monitor);
// Returns false when the deadline passed first.
bool ckvm_monitor_wait_until(struct ckvm_monitor *monitor, uint64_t deadline);
void ckvm_monitor_broadcast(struct ckvm_monitor *monitor);

// The C library's words for an errno, never NULL.
const char *ckvm_error_text(int code);

// KVM_SET_GSI_ROUTING with one MSI entry for each GSI whose `used` is not 0. Returns 0 or -errno.
struct ckvm_msi_route {
  uint64_t address;
  uint32_t data;
  uint32_t used;
};
// Routes wires 0 to 15 to the kernel's 8259 pair and wires 0 to 23 to its I/O APIC: wire 0 to pin 2,
// and wire 2 nowhere.
int ckvm_set_chip_routes(int vm);
// Drives wire `wire` of the kernel's interrupt controllers.
int ckvm_irq_line(int vm, uint32_t wire, bool level);
int ckvm_set_msi_routes(int vm, const struct ckvm_msi_route *routes, uint32_t count);

// KVM_SET_MSRS with one register. Returns 0 or -errno; -EINVAL where the host refuses the register.
int ckvm_set_msr(int vcpu, uint32_t index, uint64_t value);
int ckvm_get_msr(int vcpu, uint32_t index, uint64_t *value);

// KVM_GET_SUPPORTED_CPUID into a fresh array, which the caller frees. Returns the count or -errno.
int ckvm_supported_cpuid(int kvm, struct kvm_cpuid_entry2 **entries);
int ckvm_set_cpuid(int vcpu, const struct kvm_cpuid_entry2 *entries, uint32_t count);

// KVM_SIGNAL_MSI. Returns 1 delivered, 0 blocked by the guest, or -errno.
int ckvm_signal_msi(int vm, uint64_t address, uint32_t data);
// KVM_GET_DIRTY_LOG of slot into `bitmap`.
int ckvm_dirty_log(int vm, uint32_t slot, void *bitmap);
int ckvm_enable_capability(int fd, uint32_t capability, uint64_t argument);

// The host's time-stamp counter.
static inline uint64_t ckvm_timestamp(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

// Whether the processor has VMX (Intel SDM vol. 2A, CPUID leaf 1, ECX bit 5) or SVM (AMD APM vol. 3,
// leaf 80000001h, ECX bit 2).
int ckvm_has_virtualization(void);
