import CKVM
import Glibc
import KVMEngine

// What one port-I/O exit costs: the bare KVM_RUN round trip, and the same guest under the run loop
// with the port bus and a device behind it. Both in one process, in turns; then what user code costs
// under the hybrid engine. Prints a JSON line a row.

/// OUT to port 80h for ever, in real mode at 1000h.
let guestCode: [UInt8] = [0xE6, 0x80, 0xEB, 0xFC]
let codeAddress: UInt64 = 0x1000
let exits: UInt64 = 20_000

/// Counts writes, and notes when the first and the last of interest came.
final class Counter: PortDevice, @unchecked Sendable {
  // SAFETY: written by the one vCPU's thread; read after that thread has ended.
  private(set) var nanoseconds: UInt64 = 0
  private var count: UInt64 = 0
  private var first: UInt64 = 0
  let done: @Sendable () -> Void

  init(done: @escaping @Sendable () -> Void) { self.done = done }

  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0 }

  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    count += 1
    if count == 1 { first = Monitor.monotonic() }
    if count == exits + 1 {
      nanoseconds = Monitor.monotonic() - first
      done()
    }
  }
}

/// The machine around the vCPU: nothing ever happens to it.
final class Nobody: VirtualCPUOwner {
  func serveFirmwareTrap(_ processor: any Processor) {}
  func serveBackdoor(_ processor: any Processor) {}
  func endOfInterrupt(vector: UInt8) {}
  func processorStopped(_ index: Int, because exit: ProcessorExit) {}
}

struct Rig {
  let processor: KVMProcessor
  let gate = RunGate(processors: 1)
  let memory: MemoryBlock

  init(ports: PortBus) throws {
    let machine = try KVMVirtualMachine(KVMSystem())
    memory = try MemoryBlock(name: "benchmark", size: 1 << 20)
    memory.bytes(at: Int(codeAddress), count: guestCode.count)?.copyBytes(from: guestCode)
    let space = AddressSpace(bus: MemoryBus(), slots: machine)
    try space.map(memory, size: memory.size, at: 0)
    processor = try KVMProcessor(machine, index: 0, processors: 1, ports: ports, memory: space)
    var system = processor.systemRegisters()
    system.cs.selector = 0
    system.cs.base = 0
    processor.setSystemRegisters(system)
    var registers = Registers()
    registers.rip = codeAddress
    processor.setRegisters(registers)
  }
}

/// Nanoseconds an exit under the run loop.
func dispatched() throws -> Double {
  let finished = Monitor()
  let counter = Counter { finished.broadcast() }
  let ports = PortBus()
  try ports.register(counter, at: 0x80...0x80)
  let rig = try Rig(ports: ports)
  let owner = Nobody()
  let vcpu = VirtualCPU(
    index: 0, processor: rig.processor, gate: rig.gate, owner: owner, externalInterrupts: nil,
    clock: nil)
  try vcpu.start()
  rig.gate.open()
  finished.withLock {
    while counter.nanoseconds == 0 { finished.wait(until: Monitor.monotonic() + 10_000_000) }
  }
  rig.gate.stop()
  vcpu.kick()
  vcpu.join()
  return Double(counter.nanoseconds) / Double(exits)
}

/// Nanoseconds an exit when nothing looks at it.
func bare() throws -> Double {
  let rig = try Rig(ports: PortBus())
  _ = rig.processor.run()
  let nanoseconds = rig.processor.timeBareRuns(exits)
  return Double(nanoseconds) / Double(exits)
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

func printRow(_ name: String, _ value: Double, unit: String = "us") {
  print("{\"row\": \"\(name)\", \"unit\": \"\(unit)\", \"value\": \(value)}")
}

try KVMProcessor.installKickHandler()
var bareTimes: [Double] = []
var dispatchedTimes: [Double] = []
for _ in 0..<7 {
  bareTimes.append(try bare() / 1000)
  dispatchedTimes.append(try dispatched() / 1000)
}
printRow("port exit, bare KVM_RUN", median(bareTimes))
printRow("port exit, whole dispatch", median(dispatchedTimes))
printRow("port exit, dispatch over bare", median(dispatchedTimes) - median(bareTimes))
try UserCode.printRows()
