import BIOS
import KVMEngine

/// INT 15h: memory sizes and moves, A20, waits, the pointing device, what the machine is (IBM PS/2
/// and PC BIOS Interface Technical Reference, section 2, INT 15h; ACPI specification 6.5, section
/// 15.1, for AX=E820h).
///
/// The ROM itself answers AH=4Fh and 91h. Not modelled: cassette, joystick, EISA and Micro Channel
/// configuration; they give AH=86h with carry.
final class SystemBIOS: FirmwareService {
  typealias Field = BIOSDataArea.Field
  let context: FirmwareContext
  let keyboard: KeyboardBIOS
  let controller: KeyboardController
  private let deadlines: CallDeadlines
  var ports: FirmwarePorts { context.ports }

  static let unsupported: UInt8 = 0x86

  init(_ context: FirmwareContext, keyboard: KeyboardBIOS) {
    self.context = context
    self.keyboard = keyboard
    controller = KeyboardController(context)
    deadlines = CallDeadlines(clock: context.clock)
  }

  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    call.carry = false
    switch call.ah {
    case 0x24: gateA20(&call)
    case 0x4F: call.carry = true
    case 0x53: powerManagement(&call)
    case 0x80...0x82, 0x85, 0x90, 0x91: call.ah = 0
    case 0x83: waitForEvent(&call)
    case 0x86: return wait(&call)
    case 0x87: moveBlock(&call)
    case 0x88: call.ax = extendedKiB(limit: 0xFC00)
    case 0xC0: systemConfiguration(&call)
    case 0xC1: call.setES(BIOSDataArea(call.memory).word(Field.extendedSegment))
    case 0xC2: pointer(&call)
    case 0xE8: memoryMap(&call)
    default: fail(&call)
    }
    return .done
  }

  func fail(_ call: inout FirmwareCall) {
    call.ah = Self.unsupported
    call.carry = true
  }

  /// AH=C0h: the table at ES:BX.
  private func systemConfiguration(_ call: inout FirmwareCall) {
    call.setES(ROMImage.segment)
    call.bx = bios_layout.system_table
    call.ah = 0
  }

  // MARK: A20

  private static let a20: UInt8 = 0x02
  private static let fastReset: UInt8 = 0x01

  /// AX=2400h to 2403h.
  private func gateA20(_ call: inout FirmwareCall) {
    switch call.al {
    case 0x00: setA20(false)
    case 0x01: setA20(true)
    case 0x02:
      call.al = ports.read(FirmwarePorts.Port.systemControlA) & Self.a20 != 0 ? 1 : 0
    case 0x03: call.bx = 0x0003  // by the keyboard controller and by port 92h
    default: return fail(&call)
    }
    call.ah = 0
  }

  private func setA20(_ open: Bool) {
    let old = ports.read(FirmwarePorts.Port.systemControlA) & ~Self.fastReset
    ports.write(
      FirmwarePorts.Port.systemControlA, open ? old | Self.a20 : old & ~Self.a20)
  }

  // MARK: Waits

  /// AH=83h: bit 7 of the byte at ES:BX is set after CX:DX microseconds; AL=1 calls that off. The
  /// ROM's INT 70h counts, at the real-time clock's 1024 interrupts a second.
  private func waitForEvent(_ call: inout FirmwareCall) {
    let data = BIOSDataArea(call.memory)
    switch call.al {
    case 0x00:
      guard data.byte(Field.waitActive) & 0x01 == 0 else {
        call.carry = true
        return
      }
      startPeriodicInterrupt(
        data, flag: UInt32(call.es) << 16 | UInt32(call.bx),
        microseconds: UInt32(call.cx) << 16 | UInt32(call.dx))
    case 0x01:
      stopPeriodicInterrupt()
      data.set(Field.waitActive, byte: 0)
    default: return fail(&call)
    }
    call.ah = 0
  }

  private func startPeriodicInterrupt(_ data: BIOSDataArea, flag: UInt32, microseconds: UInt32) {
    data.set(Field.waitPointer, dword: flag)
    data.set(Field.waitCount, dword: microseconds)
    data.set(Field.waitActive, byte: 0x01)
    ports.unmask(irq: 8)
    let status = ports.readCMOS(TimeBIOS.Register.statusB)
    ports.writeCMOS(
      TimeBIOS.Register.statusB, status | TimeBIOS.Status.periodicInterrupt)
  }

  private func stopPeriodicInterrupt() {
    let status = ports.readCMOS(TimeBIOS.Register.statusB)
    ports.writeCMOS(
      TimeBIOS.Register.statusB, status & ~TimeBIOS.Status.periodicInterrupt)
  }

  /// The last part of a wait, which the vCPU's thread sleeps away: two of the clock's periods.
  private static let sleptNanoseconds: UInt64 = 2_000_000
  /// 40:A0 in the form of a far pointer.
  private static let ownFlag: UInt32 = 0x0040_00A0

  /// AH=86h: comes back after CX:DX microseconds.
  ///
  /// The guest halts while the real-time clock interrupts 1024 times a second; the rest that is
  /// shorter than two of its periods is slept, so that the wait is neither short nor long.
  private func wait(_ call: inout FirmwareCall) -> FirmwareOutcome {
    let data = BIOSDataArea(call.memory)
    let active = data.byte(Field.waitActive) & 0x01 != 0
    if active && !deadlines.contains(call) {
      call.carry = true
      return .done
    }
    let microseconds = UInt32(call.cx) << 16 | UInt32(call.dx)
    let (left, isNew) = deadlines.remaining(of: UInt64(microseconds) * 1000, for: call)
    if left > Self.sleptNanoseconds {
      if isNew { startPeriodicInterrupt(data, flag: Self.ownFlag, microseconds: microseconds) }
      return .wait
    }
    if left > 0 { context.pause(left) }
    if !isNew { stopPeriodicInterrupt() }
    data.set(Field.waitActive, byte: 0)
    deadlines.finish(call)
    call.ah = 0
    return .done
  }

  // MARK: Protected mode

  /// The ROM's AH=89h asks for what it can't do itself: A20 open, the interrupt controllers at
  /// vectors BH and BL with all levels masked, and the firmware's own code as descriptor 7.
  func enterProtectedMode(_ call: inout FirmwareCall) -> FirmwareOutcome {
    setA20(true)
    FirmwarePOST.programInterruptControllers(
      ports, masterVector: call.bh, slaveVector: call.bl, masterMask: 0xFF, slaveMask: 0xFF)
    let code: UInt64 = 0x0000_9B0F_0000_FFFF  // base F0000h, limit FFFFh, 16-bit code
    call.memory.store(code, at: call.esAddress(call.si &+ 7 * 8))
    return .done
  }
}
