import Display
import Input
import KVMEngine
import Storage

/// The PC's chips, wired as in a machine, without anything that runs guest code: for fuzzers, which
/// are the guest themselves. Confined to the thread that made it.
package final class Board {
  private let parts: MachineParts
  private let processors: [any Processor]
  private let devices: [any Device]
  private let otherPorts: PortBus
  /// Guest memory that is worth writing to, from address 0 on.
  package static let memoryBytes: UInt64 = 0x10_0000

  /// - Parameter drives: what hangs on the disk controllers.
  package init(drives: [DriveDescription]) throws {
    try KVMProcessor.installKickHandler()
    var configuration = MachineConfiguration()
    configuration.engine = .software
    configuration.memoryBytes = 16 << 20
    configuration.processors = 2
    configuration.drives = drives
    let builder = MachineBuilder(configuration) { _ in }
    let parts = try builder.build()
    // What other firmware reads is there as well, on a bus beside.
    let beside = MachineBuilder(configuration) { _ in }
    let others = try beside.addStockFirmware(parts.space, rtc: parts.rtc, drives: [])
    otherPorts = beside.ports
    processors = try (0..<2).map { try parts.makeProcessor($0, of: 2) }
    devices = parts.devices + others + parts.apicBus.localAPICs
    self.parts = parts
    parts.clock.attachToCurrentThread()
    try parts.storage.start()
    reset()
  }

  deinit {
    parts.clock.stop()
    parts.storage.stop()
  }

  /// The board after power-on self test of our firmware, as far as chips go.
  package func reset() {
    for device in devices { device.reset() }
    parts.chipset.configure()
    parts.input.releaseEverything()
  }

  // MARK: What a guest does

  package func read(port: UInt16, width: AccessWidth) -> UInt32 {
    bus(port).read(port, width: width)
  }

  package func write(port: UInt16, width: AccessWidth, value: UInt32) {
    bus(port).write(port, width: width, value: value)
  }

  private func bus(_ port: UInt16) -> PortBus {
    let isOther =
      MemoryMap.firmwareConfiguration ~= port || MemoryMap.firmwareConfigurationDMA ~= port
      || MemoryMap.firmwareDebug ~= port
    return isOther ? otherPorts : parts.ports
  }

  package func read(address: UInt64, width: AccessWidth) -> UInt64 {
    parts.space.bus.read(address, width: width)
  }

  package func write(address: UInt64, width: AccessWidth, value: UInt64) {
    parts.space.bus.write(address, width: width, value: value)
  }

  package func store(_ value: UInt64, at address: UInt64) {
    parts.space.store(value, at: address % Self.memoryBytes & ~7)
  }

  /// The local APIC of processor `index`, register page or MSR.
  package func readLocalAPIC(_ index: Int, offset: UInt64, width: AccessWidth) -> UInt64 {
    let local = parts.apicBus.localAPICs[index & 1]
    if offset >= 0x1000 {
      return local.readMSR(0x800 | UInt32(truncatingIfNeeded: offset & 0xFF)) ?? 0
    }
    return local.readMemory(offset, width: width)
  }

  package func writeLocalAPIC(_ index: Int, offset: UInt64, width: AccessWidth, value: UInt64) {
    let local = parts.apicBus.localAPICs[index & 1]
    guard offset >= 0x1000 else {
      return local.writeMemory(offset, width: width, value: value)
    }
    let register = offset & 0x100 != 0 ? 0x1B : 0x800 | UInt32(truncatingIfNeeded: offset & 0xFF)
    _ = local.writeMSR(register, value: value)
  }

  /// Takes what waits for the processors, as they do when they are interrupted.
  package func acknowledge() {
    if let external = parts.interrupts.external, external.interruptPending {
      _ = external.acknowledge()
    }
    for local in parts.apicBus.localAPICs {
      _ = local.nextInterrupt()
      _ = local.takeNMI()
      _ = local.takeInit()
      _ = local.takeStartup()
    }
  }

  /// Lets time pass; timers that are due run.
  package func advance(_ nanoseconds: UInt64) {
    parts.clock.leap(by: nanoseconds)
    parts.clock.runDueTimers()
  }

  // MARK: What the outside does

  package func point(x: Int, y: Int, buttons: UInt8) {
    parts.input.pointer(viewer: 1, x: x, y: y, buttons: buttons, width: 1024, height: 768)
  }

  package func key(_ keysym: UInt32, pressed: Bool) {
    parts.input.key(viewer: 1, keysym: keysym, pressed: pressed)
  }

  /// Draws the picture.
  package func draw() { _ = parts.video.capture() }

  /// Saves every device and restores it from what it saved.
  /// - Returns: what a device has against its own state; nil for nothing.
  package func saveAndRestore() -> String? {
    for device in devices.reversed() {
      if let problem = Self.restoreItself(device) { return problem }
    }
    return nil
  }

  private static func restoreItself(_ device: some Device) -> String? {
    do throws(RestoreError) {
      try device.restore(device.save())
      return nil
    } catch {
      return error.description
    }
  }

  /// Where memory region `index` of the PCI function in `slot` is.
  package func region(slot: Int, number: Int = 0, index: Int) -> UInt64 {
    guard let function = parts.chipset.pci.function(bus: 0, slot: slot, number: number) else {
      return 0
    }
    return UInt64(function.space.dword(PCIFunction.baseRegister(index)) & ~0xF)
  }
}
