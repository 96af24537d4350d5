import DeviceTestKit
import KVMEngine
import Synchronization

@testable import Machine

/// A PCI bus alone, with a recorder at the end of its interrupt wires.
struct PCIRig {
  let lines = LineRecorder()
  let messages = MessageRecorder()
  let bus: PCIBus
  let ports = PortBus()
  let memory = MemoryBus()

  static let hole: ClosedRange<UInt64> = 0x8000_0000...0xFEBF_FFFF

  init() {
    bus = PCIBus(
      memory: PCIMemory(hole: Self.hole), ports: PCIPorts(),
      interrupts: PCIInterrupts(
        shared: SharedInterrupts(sink: lines), source: 0,
        message: { [messages] in messages.add($0) }))
  }

  /// Registers everything, as the machine's builder does.
  func wire() throws {
    try ports.register(
      ConfigurationAddressPorts(reset: ResetControl(resetRequested: {}), bus: bus),
      at: MemoryMap.configurationAddress, wiring: .native)
    try ports.register(bus, at: MemoryMap.configurationData, wiring: .native)
    try ports.registerRest(bus.ports, in: MemoryMap.pciPorts)
    try memory.register(bus.memory, at: Self.hole)
  }

  /// A read as guests make it.
  func read(_ slot: Int, _ number: Int, _ register: Int, _ width: AccessWidth = .dword) -> UInt32 {
    select(slot, number, register)
    return ports.read(0xCFC + UInt16(register & 3), width: width)
  }

  func write(
    _ slot: Int, _ number: Int, _ register: Int, _ value: UInt32, _ width: AccessWidth = .dword
  ) {
    select(slot, number, register)
    ports.write(0xCFC + UInt16(register & 3), width: width, value: value)
  }

  private func select(_ slot: Int, _ number: Int, _ register: Int) {
    let place = UInt32(slot << 11 | number << 8 | register & 0xFC)
    ports.write(0xCF8, width: .dword, value: 0x8000_0000 | place)
  }
}

/// Remembers the messages that functions sent.
final class MessageRecorder: Sendable {
  private let messages = Mutex<[MessageSignalledInterrupt]>([])
  var all: [MessageSignalledInterrupt] { messages.withLock { $0 } }
  func add(_ message: MessageSignalledInterrupt) { messages.withLock { $0.append(message) } }
}

/// Ports and memory that tell where they were reached.
final class EchoDevice: PortDevice, MemoryDevice {
  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { UInt32(offset) &+ 0x40 }
  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {}
  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 { offset &+ 0x100 }
  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {}
}
