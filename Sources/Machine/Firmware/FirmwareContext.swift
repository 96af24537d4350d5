import Glibc
import KVMEngine

/// What the firmware's services share: the machine's memory, its ports, its clock.
struct FirmwareContext: Sendable {
  let configuration: FirmwareConfiguration
  let space: AddressSpace
  let ports: FirmwarePorts
  let clock: any Clock
  /// Lets this many nanoseconds pass on the calling thread. For the milliseconds at most that a
  /// service waits for a chip, with the guest standing still.
  let pause: @Sendable (UInt64) -> Void
}

/// Port accesses as firmware code does them, a byte at a time.
struct FirmwarePorts: Sendable {
  let bus: PortBus

  func read(_ port: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: bus.read(port, width: .byte)) }
  func write(_ port: UInt16, _ value: UInt8) { bus.write(port, width: .byte, value: UInt32(value)) }

  func write(_ port: UInt16, word: UInt16) { bus.write(port, width: .word, value: UInt32(word)) }

  /// A byte of the CMOS memory or the real-time clock.
  func readCMOS(_ index: UInt8) -> UInt8 {
    write(Port.cmosIndex, index)
    return read(Port.cmosData)
  }
  func writeCMOS(_ index: UInt8, _ value: UInt8) {
    write(Port.cmosIndex, index)
    write(Port.cmosData, value)
  }

  /// Lets the interrupt controllers pass IRQ `irq`.
  func unmask(irq: Int) {
    if irq >= 8 {
      write(Port.slaveMask, read(Port.slaveMask) & ~(1 << UInt8(irq & 7)))
      write(Port.masterMask, read(Port.masterMask) & ~(1 << 2))
    } else {
      write(Port.masterMask, read(Port.masterMask) & ~(1 << UInt8(irq & 7)))
    }
  }

  /// A non-specific end of interrupt for IRQ `irq`.
  func endOfInterrupt(irq: Int) {
    if irq >= 8 { write(Port.slaveCommand, 0x20) }
    write(Port.masterCommand, 0x20)
  }

  /// Ports of the PC/AT that the firmware drives.
  enum Port {
    static let masterCommand: UInt16 = 0x20
    static let masterMask: UInt16 = 0x21
    static let timer0: UInt16 = 0x40
    static let timer1: UInt16 = 0x41
    static let timerControl: UInt16 = 0x43
    static let keyboardData: UInt16 = 0x60
    static let systemControlB: UInt16 = 0x61
    static let keyboardCommand: UInt16 = 0x64
    static let cmosIndex: UInt16 = 0x70
    static let cmosData: UInt16 = 0x71
    static let postCode: UInt16 = 0x80
    static let systemControlA: UInt16 = 0x92
    static let slaveCommand: UInt16 = 0xA0
    static let slaveMask: UInt16 = 0xA1
  }
}

/// A service made of a closure.
final class FirmwareRoutine: FirmwareService {
  private let body: @Sendable (inout FirmwareCall) -> FirmwareOutcome

  init(_ body: @escaping @Sendable (inout FirmwareCall) -> FirmwareOutcome) { self.body = body }

  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome { body(&call) }
}
