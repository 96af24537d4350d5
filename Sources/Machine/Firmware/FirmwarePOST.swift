import BIOS
import KVMEngine

/// The power-on self test: what the ROM's first trap does.
///
/// It fills the interrupt vectors and the data areas, programs the interrupt controllers, the timer
/// and the keyboard controller, and leaves the CMOS memory describing the machine. Nothing is
/// tested; a machine made of software that got here works.
final class FirmwarePOST: FirmwareService {
  private typealias Field = BIOSDataArea.Field
  private typealias Port = FirmwarePorts.Port
  private let context: FirmwareContext
  private let loader: any BootLoader
  private let controller: KeyboardController
  private var ports: FirmwarePorts { context.ports }

  init(_ context: FirmwareContext, loader: any BootLoader) {
    self.context = context
    self.loader = loader
    controller = KeyboardController(context)
  }

  func serve(_ call: inout FirmwareCall) -> FirmwareOutcome {
    if let resume = resumeFromShutdown() {
      call.ax = resume
      return .done
    }
    let drives = loader.prepareForBoot()
    ports.write(Port.systemControlA, 0x02)  // A20 open
    programChips()
    writeVectors(drives)
    writeDataArea(drives)
    writeExtendedDataArea(drives)
    writeCMOS(drives)
    call.ax = UInt16(BIOS_POST_BOOT)
    return .done
  }

  // MARK: Shutdown codes

  private static let shutdownCode: UInt8 = 0x0F

  /// A reset that a program asked for to leave protected mode: codes 5 (with an end of interrupt)
  /// and 0Ah go on at 40:67 with the machine as it is.
  private func resumeFromShutdown() -> UInt16? {
    let code = ports.readCMOS(Self.shutdownCode)
    guard code == 0x05 || code == 0x0A else {
      if code != 0 { ports.writeCMOS(Self.shutdownCode, 0) }
      return nil
    }
    ports.writeCMOS(Self.shutdownCode, 0)
    if code == 0x05 { ports.endOfInterrupt(irq: 8) }
    return UInt16(BIOS_POST_RESUME)
  }

  // MARK: Chips

  /// Programs both 8259s (Intel 8259A data sheet, "Initialization Command Words").
  static func programInterruptControllers(
    _ ports: FirmwarePorts, masterVector: UInt8, slaveVector: UInt8, masterMask: UInt8,
    slaveMask: UInt8
  ) {
    let edgeCascadeICW4: UInt8 = 0x11
    let mode8086: UInt8 = 0x01
    ports.write(Port.masterCommand, edgeCascadeICW4)
    ports.write(Port.masterMask, masterVector)
    ports.write(Port.masterMask, 0x04)  // the slave is on IRQ 2
    ports.write(Port.masterMask, mode8086)
    ports.write(Port.slaveCommand, edgeCascadeICW4)
    ports.write(Port.slaveMask, slaveVector)
    ports.write(Port.slaveMask, 0x02)
    ports.write(Port.slaveMask, mode8086)
    ports.write(Port.masterMask, masterMask)
    ports.write(Port.slaveMask, slaveMask)
  }

  private func programChips() {
    // Open: timer, keyboard, cascade, diskette; pointing device, coprocessor, hard disk.
    Self.programInterruptControllers(
      ports, masterVector: 0x08, slaveVector: 0x70, masterMask: 0xB8, slaveMask: 0x8F)
    ports.write(Port.timerControl, 0x36)  // counter 0: mode 3, 65,536
    ports.write(Port.timer0, 0)
    ports.write(Port.timer0, 0)
    ports.write(Port.timerControl, 0x54)  // counter 1: mode 2, 18: memory refresh
    ports.write(Port.timer1, 18)
    ports.write(Port.systemControlB, 0)  // speaker off
    ports.writeCMOS(TimeBIOS.Register.statusA, 0x26)  // 32,768 Hz, 1024 interrupts a second
    ports.writeCMOS(TimeBIOS.Register.statusB, 0x02)  // 24 hours, BCD, no interrupts
    guard controller.isPresent else { return }
    controller.drain()
    // Translation, keyboard interrupt, system flag; the pointing device stays off.
    controller.writeCommandByte(0x65)
    controller.command(0xAE)
  }

  // MARK: Vectors

  private func writeVectors(_ drives: DriveInventory) {
    let layout = bios_layout
    var offsets = [UInt16](repeating: layout.dummy, count: 0x60)
    offsets[0x02] = layout.nmi
    offsets[0x05] = layout.print_screen
    for number in 0..<UInt16(24) {
      offsets[0x08 + Int(number)] = ROMImage.word(layout.vectors + number * 2)
    }
    offsets[0x40] = layout.diskette_entry
    offsets[0x42] = ROMImage.word(layout.vectors + 8 * 2)  // INT 10h
    offsets[0x43] = layout.font_8x8_low
    var table = [UInt8](repeating: 0, count: 0x400)
    func set(_ number: Int, _ offset: UInt16, _ segment: UInt16) {
      let bytes = [offset, segment].flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
      table.replaceSubrange(number * 4..<(number * 4 + 4), with: bytes)
    }
    // INT 60h to 6Fh and 78h on are the user's and stay zero.
    for number in offsets.indices { set(number, offsets[number], ROMImage.segment) }
    let slave = [
      layout.irq8, layout.irq9, layout.irq_slave, layout.irq_slave, layout.irq12, layout.irq13,
      layout.irq14, layout.irq_slave,
    ]
    for (index, offset) in slave.enumerated() { set(0x70 + index, offset, ROMImage.segment) }
    let extended = context.configuration.baseMemoryKiB << 6
    let tables = [
      (0x41, BIOSDataArea.ExtendedField.hardDisk0), (0x46, BIOSDataArea.ExtendedField.hardDisk1),
    ]
    for (index, (number, offset)) in tables.enumerated() {
      let exists = index < drives.hardDisks.count
      set(number, exists ? offset : 0, exists ? extended : 0)
    }
    context.space.write(0, bytes: table)
  }

  // MARK: Data areas

  private func writeDataArea(_ drives: DriveInventory) {
    let data = BIOSDataArea(context.space)
    let resetFlag = data.word(Field.resetFlag)
    let cleared = [UInt8](repeating: 0, count: BIOSDataArea.clearedBytes)
    context.space.write(BIOSDataArea.address, bytes: cleared)
    data.set(Field.resetFlag, word: resetFlag)
    data.set(Field.extendedSegment, word: context.configuration.baseMemoryKiB << 6)
    data.set(Field.memoryKiB, word: context.configuration.baseMemoryKiB)
    data.set(Field.bufferStart, word: Field.keyboardBuffer)
    data.set(Field.bufferEnd, word: Field.keyboardBufferEnd)
    data.clearKeystrokes()
    data.set(Field.keyboardFlags3, byte: 0x10)  // 101 keys
    data.set(Field.hardDiskCount, byte: UInt8(truncatingIfNeeded: drives.hardDisks.count))
    data.set(Field.parallelTimeouts, dword: 0x0014_1414)
    data.set(Field.serialTimeouts, dword: 0x0101_0101)
    data.set(Field.tickCount, dword: TimeBIOS(context).ticksSinceMidnight())
    writeDisketteData(data, drives)
    let serial = findSerialPorts()
    let parallel = findParallelPorts()
    for (index, port) in serial.enumerated() {
      data.set(Field.serialPorts + UInt16(index) * 2, word: port)
    }
    for (index, port) in parallel.enumerated() {
      data.set(Field.parallelPorts + UInt16(index) * 2, word: port)
    }
    data.set(
      Field.equipment,
      word: equipment(drives, serialCount: serial.count, parallelCount: parallel.count))
  }

  private func writeDisketteData(_ data: BIOSDataArea, _ drives: DriveInventory) {
    var installed: UInt8 = 0
    for (index, type) in drives.floppyTypes.prefix(2).enumerated() where type != 0 {
      installed |= 0x07 << UInt8(index * 4)
      // Media known: rate and double stepping of the drive's own format.
      let state: UInt8 = type == 4 || type == 5 ? 0x17 : type == 2 ? 0x15 : 0x93
      data.set(Field.disketteMedia + UInt16(index), byte: state)
    }
    data.set(Field.diskettesInstalled, byte: installed)
  }

  private func equipment(
    _ drives: DriveInventory, serialCount: Int, parallelCount: Int
  ) -> UInt16 {
    let floppies = drives.floppyTypes.prefix(2).count { $0 != 0 }
    var word: UInt16 = 0x0022  // coprocessor, 80x25 colour
    if floppies > 0 { word |= 1 | UInt16(floppies - 1) << 6 }
    if controller.isPresent { word |= 0x0004 }  // pointing device
    return word | UInt16(serialCount) << 9 | UInt16(parallelCount) << 14
  }

  /// A UART's scratch register keeps what is written.
  private func findSerialPorts() -> [UInt16] {
    [0x3F8, 0x2F8, 0x3E8, 0x2E8].filter { base in
      let scratch: UInt16 = base + 7
      ports.write(scratch, 0x5A)
      guard ports.read(scratch) == 0x5A else { return false }
      ports.write(scratch, 0)
      return ports.read(scratch) == 0
    }
  }

  /// A parallel port's data latch keeps what is written.
  private func findParallelPorts() -> [UInt16] {
    [0x378, 0x278].filter { base in
      ports.write(base, 0xAA)
      guard ports.read(base) == 0xAA else { return false }
      ports.write(base, 0x55)
      return ports.read(base) == 0x55
    }
  }

  private func writeExtendedDataArea(_ drives: DriveInventory) {
    let data = BIOSDataArea(context.space)
    let start = UInt64(context.configuration.baseMemoryKiB) << 10
    context.space.write(start, bytes: [UInt8](repeating: 0, count: 1024))
    context.space.write(MemoryMap.acpiControl, bytes: ACPITables.facsBytes)
    data.setExtended(BIOSDataArea.ExtendedField.sizeKiB, byte: 1)
    data.setExtended(BIOSDataArea.ExtendedField.pointerFlags2, byte: 0x02)
    let fields = [BIOSDataArea.ExtendedField.hardDisk0, BIOSDataArea.ExtendedField.hardDisk1]
    for (field, geometry) in zip(fields, drives.hardDisks) {
      context.space.write(
        data.extendedAddress(field), bytes: Self.hardDiskTable(geometry))
    }
  }

  /// A hard disk's parameter table, 16 bytes (IBM PC/AT Technical Reference, section 5, "Fixed disk
  /// parameter table").
  static func hardDiskTable(_ geometry: DriveGeometry) -> [UInt8] {
    let cylinders = [UInt8(geometry.cylinders & 0xFF), UInt8(geometry.cylinders >> 8)]
    let control: UInt8 = geometry.heads > 8 ? 0x08 : 0
    return cylinders + [geometry.heads, 0, 0, 0xFF, 0xFF, 0, control, 0, 0, 0] + cylinders
      + [geometry.sectorsPerTrack, 0]
  }

  // MARK: CMOS

  /// The bytes that a PC's set-up program would have left (IBM PC/AT Technical Reference, section
  /// 5, "Real-time clock/CMOS RAM"), and the memory sizes that later firmware added.
  private func writeCMOS(_ drives: DriveInventory) {
    let configuration = context.configuration
    let floppies = drives.floppyTypes.prefix(2) + [0, 0]
    let hardDisk: UInt8 = 0x0F  // "type in the extension byte"
    let userType: UInt8 = 47
    let count = drives.hardDisks.count
    let extended = UInt16(truncatingIfNeeded: min(configuration.extendedBytes >> 10, 0xFFFF))
    let below = configuration.ramBelow4G
    let high = below > 1 << 24 ? (below - 1 << 24) >> 16 : 0
    let above = configuration.ramAbove4G >> 16
    func byte(_ value: UInt64, _ index: UInt64) -> UInt8 {
      UInt8(truncatingIfNeeded: value >> (index * 8))
    }
    let equipment = UInt8(truncatingIfNeeded: BIOSDataArea(context.space).word(Field.equipment))
    let values: [(UInt8, UInt8)] = [
      (0x10, floppies[0] << 4 | floppies[1] & 0x0F),
      (0x12, (count > 0 ? hardDisk << 4 : 0) | (count > 1 ? hardDisk : 0)),
      (0x14, equipment),
      (0x15, byte(UInt64(configuration.baseMemoryKiB), 0)),
      (0x16, byte(UInt64(configuration.baseMemoryKiB), 1)),
      (0x17, byte(UInt64(extended), 0)), (0x18, byte(UInt64(extended), 1)),
      (0x19, count > 0 ? userType : 0), (0x1A, count > 1 ? userType : 0),
      (0x30, byte(UInt64(extended), 0)), (0x31, byte(UInt64(extended), 1)),
      (0x34, byte(high, 0)), (0x35, byte(high, 1)),
      (0x5B, byte(above, 0)), (0x5C, byte(above, 1)), (0x5D, byte(above, 2)),
      (0x5F, UInt8(truncatingIfNeeded: max(0, configuration.processorCount &- 1))),
    ]
    for (index, value) in values { ports.writeCMOS(index, value) }
    let sum = (UInt8(0x10)...0x2D).reduce(UInt16(0)) { $0 &+ UInt16(ports.readCMOS($1)) }
    ports.writeCMOS(0x2E, UInt8(sum >> 8))
    ports.writeCMOS(0x2F, UInt8(sum & 0xFF))
  }
}
