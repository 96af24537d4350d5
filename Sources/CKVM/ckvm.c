#define _GNU_SOURCE
#include "ckvm.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int ckvm_ioctl(int fd, unsigned long request, unsigned long argument) {
  int result = ioctl(fd, request, argument);
  return result < 0 ? -errno : result;
}

int ckvm_ioctl_pointer(int fd, unsigned long request, void *argument) {
  int result = ioctl(fd, request, argument);
  return result < 0 ? -errno : result;
}

static const unsigned long requests[CKVM_REQUEST_COUNT] = {
    [CKVM_GET_API_VERSION] = KVM_GET_API_VERSION,
    [CKVM_CREATE_VM] = KVM_CREATE_VM,
    [CKVM_CHECK_EXTENSION] = KVM_CHECK_EXTENSION,
    [CKVM_GET_VCPU_MMAP_SIZE] = KVM_GET_VCPU_MMAP_SIZE,
    [CKVM_GET_SUPPORTED_CPUID] = KVM_GET_SUPPORTED_CPUID,
    [CKVM_CREATE_VCPU] = KVM_CREATE_VCPU,
    [CKVM_SET_USER_MEMORY_REGION] = KVM_SET_USER_MEMORY_REGION,
    [CKVM_GET_DIRTY_LOG] = KVM_GET_DIRTY_LOG,
    [CKVM_SET_TSS_ADDR] = KVM_SET_TSS_ADDR,
    [CKVM_SET_IDENTITY_MAP_ADDR] = KVM_SET_IDENTITY_MAP_ADDR,
    [CKVM_ENABLE_CAP] = KVM_ENABLE_CAP,
    [CKVM_CREATE_IRQCHIP] = KVM_CREATE_IRQCHIP,
    [CKVM_CREATE_PIT2] = KVM_CREATE_PIT2,
    [CKVM_SET_GSI_ROUTING] = KVM_SET_GSI_ROUTING,
    [CKVM_SIGNAL_MSI] = KVM_SIGNAL_MSI,
    [CKVM_IRQ_LINE] = KVM_IRQ_LINE,
    [CKVM_GET_IRQCHIP] = KVM_GET_IRQCHIP,
    [CKVM_SET_IRQCHIP] = KVM_SET_IRQCHIP,
    [CKVM_RUN] = KVM_RUN,
    [CKVM_GET_REGS] = KVM_GET_REGS,
    [CKVM_SET_REGS] = KVM_SET_REGS,
    [CKVM_GET_SREGS] = KVM_GET_SREGS,
    [CKVM_SET_SREGS] = KVM_SET_SREGS,
    [CKVM_SET_CPUID2] = KVM_SET_CPUID2,
    [CKVM_INTERRUPT] = KVM_INTERRUPT,
    [CKVM_NMI] = KVM_NMI,
    [CKVM_GET_LAPIC] = KVM_GET_LAPIC,
    [CKVM_SET_LAPIC] = KVM_SET_LAPIC,
    [CKVM_GET_MP_STATE] = KVM_GET_MP_STATE,
    [CKVM_SET_MP_STATE] = KVM_SET_MP_STATE,
    [CKVM_GET_VCPU_EVENTS] = KVM_GET_VCPU_EVENTS,
    [CKVM_SET_VCPU_EVENTS] = KVM_SET_VCPU_EVENTS,
    [CKVM_GET_MSRS] = KVM_GET_MSRS,
    [CKVM_SET_MSRS] = KVM_SET_MSRS,
    [CKVM_GET_FPU] = KVM_GET_FPU,
    [CKVM_SET_FPU] = KVM_SET_FPU,
    [CKVM_GET_XCRS] = KVM_GET_XCRS,
    [CKVM_SET_XCRS] = KVM_SET_XCRS,
    [CKVM_GET_DEBUGREGS] = KVM_GET_DEBUGREGS,
    [CKVM_SET_DEBUGREGS] = KVM_SET_DEBUGREGS,
    [CKVM_GET_XSAVE] = KVM_GET_XSAVE,
    [CKVM_SET_XSAVE] = KVM_SET_XSAVE,
    [CKVM_GET_CLOCK] = KVM_GET_CLOCK,
    [CKVM_SET_CLOCK] = KVM_SET_CLOCK,
};

unsigned long ckvm_request_number(enum ckvm_request request) { return requests[request]; }

uint32_t ckvm_failed_instruction(const struct kvm_run *run, uint8_t bytes[15]) {
  if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION || run->internal.ndata < 3 ||
      !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
    return 0;
  uint32_t count = run->emulation_failure.insn_size;
  if (count > 15) count = 15;
  memcpy(bytes, run->emulation_failure.insn_bytes, count);
  return count;
}

static _Thread_local uint8_t *volatile exit_flag;
static _Thread_local volatile bool was_kicked;

static int kick_signal(void) { return SIGRTMIN; }

static void kicked(int signal) {
  (void)signal;
  uint8_t *flag = exit_flag;
  was_kicked = true;
  // Other bits of that byte may be others' requests.
  if (flag) __atomic_fetch_or(flag, 1, __ATOMIC_SEQ_CST);
}

bool ckvm_take_kick(void) {
  bool kicked = was_kicked;
  // A kick between these two lines has set the exit flag as well: guest code is left at once.
  if (kicked) was_kicked = false;
  return kicked;
}

int ckvm_kick_timer_create(void) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = kick_signal()};
  event._sigev_un._tid = gettid();
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) return -errno;
  return (int)(intptr_t)timer;
}

void ckvm_kick_timer_arm(int timer, uint64_t deadline) {
  struct itimerspec time = {.it_value = {.tv_sec = (time_t)(deadline / 1000000000u),
                                         .tv_nsec = (long)(deadline % 1000000000u)}};
  timer_settime((timer_t)(intptr_t)timer, TIMER_ABSTIME, &time, NULL);
}

void ckvm_kick_timer_delete(int timer) { timer_delete((timer_t)(intptr_t)timer); }

int ckvm_install_kick_handler(void) {
  struct sigaction action = {.sa_handler = kicked};
  sigemptyset(&action.sa_mask);
  return sigaction(kick_signal(), &action, NULL) < 0 ? -errno : 0;
}

void ckvm_set_exit_flag(uint8_t *flag) { exit_flag = flag; }

int ckvm_send_kick(pthread_t thread) { return -pthread_kill(thread, kick_signal()); }

int ckvm_memory_file(const char *name, uint64_t size) {
  int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) return -errno;
  if (ftruncate(fd, (off_t)size) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int ckvm_open(const char *path, int flags) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : fd;
}

void ckvm_name_thread(pthread_t thread, const char *name) {
  char kept[16] = {0};
  strncpy(kept, name, sizeof kept - 1);
  pthread_setname_np(thread, kept);
}

void ckvm_block_signals(void) {
  sigset_t set;
  sigfillset(&set);
  sigdelset(&set, kick_signal());
  sigdelset(&set, SIGSEGV);
  sigdelset(&set, SIGBUS);
  sigdelset(&set, SIGILL);
  sigdelset(&set, SIGFPE);
  sigdelset(&set, SIGTRAP);
  sigdelset(&set, SIGABRT);
  pthread_sigmask(SIG_SETMASK, &set, NULL);
}

uint64_t ckvm_monotonic(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void ckvm_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

struct ckvm_monitor *ckvm_monitor_create(void) {
  struct ckvm_monitor *monitor = malloc(sizeof *monitor);
  if (!monitor) abort();
  pthread_mutex_init(&monitor->mutex, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&monitor->condition, &attributes);
  pthread_condattr_destroy(&attributes);
  return monitor;
}

void ckvm_monitor_destroy(struct ckvm_monitor *monitor) {
  pthread_cond_destroy(&monitor->condition);
  pthread_mutex_destroy(&monitor->mutex);
  free(monitor);
}

void ckvm_monitor_lock(struct ckvm_monitor *monitor) { pthread_mutex_lock(&monitor->mutex); }
void ckvm_monitor_unlock(struct ckvm_monitor *monitor) { pthread_mutex_unlock(&monitor->mutex); }

void ckvm_monitor_wait(struct ckvm_monitor *monitor) {
  pthread_cond_wait(&monitor->condition, &monitor->mutex);
}

bool ckvm_monitor_wait_until(struct ckvm_monitor *monitor, uint64_t deadline) {
  struct timespec time = {.tv_sec = (time_t)(deadline / 1000000000u),
                          .tv_nsec = (long)(deadline % 1000000000u)};
  return pthread_cond_timedwait(&monitor->condition, &monitor->mutex, &time) == 0;
}

void ckvm_monitor_broadcast(struct ckvm_monitor *monitor) {
  pthread_cond_broadcast(&monitor->condition);
}

const char *ckvm_error_text(int code) {
  const char *text = strerrordesc_np(code);
  return text ? text : "unknown error";
}

static void add_chip_route(struct kvm_irq_routing *table, uint32_t wire, uint32_t chip,
                           uint32_t pin) {
  struct kvm_irq_routing_entry *entry = &table->entries[table->nr++];
  entry->gsi = wire;
  entry->type = KVM_IRQ_ROUTING_IRQCHIP;
  entry->u.irqchip.irqchip = chip;
  entry->u.irqchip.pin = pin;
}

int ckvm_set_chip_routes(int vm) {
  enum { wires = 24, most = 40 };
  struct kvm_irq_routing *table =
      calloc(1, sizeof *table + most * sizeof(struct kvm_irq_routing_entry));
  if (!table) return -ENOMEM;
  for (uint32_t wire = 0; wire < wires; wire++) {
    if (wire == 2) continue;
    if (wire < 8) add_chip_route(table, wire, KVM_IRQCHIP_PIC_MASTER, wire);
    if (wire >= 8 && wire < 16) add_chip_route(table, wire, KVM_IRQCHIP_PIC_SLAVE, wire - 8);
    add_chip_route(table, wire, KVM_IRQCHIP_IOAPIC, wire == 0 ? 2 : wire);
  }
  int result = ckvm_ioctl_pointer(vm, KVM_SET_GSI_ROUTING, table);
  free(table);
  return result;
}

int ckvm_irq_line(int vm, uint32_t wire, bool level) {
  struct kvm_irq_level line = {.irq = wire, .level = level};
  return ckvm_ioctl_pointer(vm, KVM_IRQ_LINE, &line);
}

int ckvm_set_msi_routes(int vm, const struct ckvm_msi_route *routes, uint32_t count) {
  struct kvm_irq_routing *table =
      calloc(1, sizeof *table + count * sizeof(struct kvm_irq_routing_entry));
  if (!table) return -ENOMEM;
  for (uint32_t gsi = 0; gsi < count; gsi++) {
    if (!routes[gsi].used) continue;
    struct kvm_irq_routing_entry *entry = &table->entries[table->nr++];
    entry->gsi = gsi;
    entry->type = KVM_IRQ_ROUTING_MSI;
    entry->u.msi.address_lo = (uint32_t)routes[gsi].address;
    entry->u.msi.address_hi = (uint32_t)(routes[gsi].address >> 32);
    entry->u.msi.data = routes[gsi].data;
  }
  int result = ckvm_ioctl_pointer(vm, KVM_SET_GSI_ROUTING, table);
  free(table);
  return result;
}

// A kvm_msrs with room for one entry, which its own type can't hold.
union one_msr {
  struct kvm_msrs header;
  uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

int ckvm_set_msr(int vcpu, uint32_t index, uint64_t value) {
  union one_msr msr = {.header = {.nmsrs = 1}};
  msr.header.entries[0] = (struct kvm_msr_entry){.index = index, .data = value};
  int result = ckvm_ioctl_pointer(vcpu, KVM_SET_MSRS, &msr);
  return result < 0 ? result : result == 1 ? 0 : -EINVAL;
}

int ckvm_get_msr(int vcpu, uint32_t index, uint64_t *value) {
  union one_msr msr = {.header = {.nmsrs = 1}};
  msr.header.entries[0] = (struct kvm_msr_entry){.index = index};
  int result = ckvm_ioctl_pointer(vcpu, KVM_GET_MSRS, &msr);
  *value = msr.header.entries[0].data;
  return result < 0 ? result : result == 1 ? 0 : -EINVAL;
}

int ckvm_supported_cpuid(int kvm, struct kvm_cpuid_entry2 **entries) {
  enum { most = 256 };
  struct kvm_cpuid2 *table = calloc(1, sizeof *table + most * sizeof(struct kvm_cpuid_entry2));
  if (!table) return -ENOMEM;
  table->nent = most;
  int result = ckvm_ioctl_pointer(kvm, KVM_GET_SUPPORTED_CPUID, table);
  if (result >= 0) {
    result = (int)table->nent;
    *entries = malloc((size_t)result * sizeof **entries + 1);
    if (*entries)
      memcpy(*entries, table->entries, (size_t)result * sizeof **entries);
    else
      result = -ENOMEM;
  }
  free(table);
  return result;
}

int ckvm_set_cpuid(int vcpu, const struct kvm_cpuid_entry2 *entries, uint32_t count) {
  struct kvm_cpuid2 *table = calloc(1, sizeof *table + count * sizeof *entries);
  if (!table) return -ENOMEM;
  table->nent = count;
  memcpy(table->entries, entries, count * sizeof *entries);
  int result = ckvm_ioctl_pointer(vcpu, KVM_SET_CPUID2, table);
  free(table);
  return result;
}

int ckvm_signal_msi(int vm, uint64_t address, uint32_t data) {
  struct kvm_msi msi = {.address_lo = (uint32_t)address,
                        .address_hi = (uint32_t)(address >> 32),
                        .data = data};
  return ckvm_ioctl_pointer(vm, KVM_SIGNAL_MSI, &msi);
}

int ckvm_dirty_log(int vm, uint32_t slot, void *bitmap) {
  struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};
  return ckvm_ioctl_pointer(vm, KVM_GET_DIRTY_LOG, &log);
}

int ckvm_enable_capability(int fd, uint32_t capability, uint64_t argument) {
  struct kvm_enable_cap enable = {.cap = capability, .args = {argument}};
  return ckvm_ioctl_pointer(fd, KVM_ENABLE_CAP, &enable);
}

int ckvm_has_virtualization(void) {
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 5)) return 1;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 2);
}

void ckvm_sleep(struct kvm_run *run) {
  // The word begins with the request for an interrupt window; the exit flag is its second byte. The
  // page is the kernel's own, which no futex that processes share can be in.
  _Static_assert(offsetof(struct kvm_run, immediate_exit) == 1, "the exit flag is in the word");
  uint32_t *word = (uint32_t *)run;
  uint32_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) return;
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen & ~0xFF00u, NULL, NULL, 0);
}
