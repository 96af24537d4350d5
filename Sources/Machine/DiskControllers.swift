import KVMEngine
import Storage

/// The controllers that the drives hang on beside the firmware's own services: two IDE channels, the
/// floppy disk controller and the DMA controllers that it needs.
///
/// Guests that drive the hardware and the firmware's INT 13h use the same images; either sees at
/// once what the other wrote, since neither keeps anything back.
final class DiskControllers: Sendable {
  let channels: [IDEChannel]
  let floppy: FloppyController
  let dma: I8237Pair
  private let workers: [DiskWorker]

  /// - Parameters:
  ///   - drives: in the order in which the user gave them.
  ///   - room: where their writes wait when the host is full.
  init(
    _ drives: [Drive], space: AddressSpace, clock: any Clock, interrupts: ISAInterrupts,
    room: HostRoom, log: @escaping @Sendable (String) -> Void
  ) {
    let cables = Self.cables(drives, log)
    let workers = ["disk0", "disk1", "floppy0"].map { DiskWorker(name: $0) }
    dma = I8237Pair(space: space)
    let irqs = [MemoryMap.primaryIDEIRQ, MemoryMap.secondaryIDEIRQ]
    channels = (0...1).map { index in
      IDEChannel(
        name: "ide\(index)", first: cables[index * 2], second: cables[index * 2 + 1],
        irq: interrupts.line(irqs[index]), space: space, worker: workers[index], room: room,
        log: log)
    }
    floppy = FloppyController(
      drives: Array(drives.filter { $0.kind == .floppy }.prefix(2)), clock: clock,
      irq: interrupts.line(MemoryMap.floppyIRQ), dma: dma, worker: workers[2], room: room, log: log)
    self.workers = workers
  }

  /// Who sits at primary master, primary slave, secondary master and secondary slave: the first CD
  /// drive at the third place, hard disks at those that are left in order, further CD drives from
  /// the end.
  static func cables(
    _ drives: [Drive], _ log: @Sendable (String) -> Void = { _ in }
  ) -> [Drive?] {
    var places = [Drive?](repeating: nil, count: 4)
    var discs = drives.filter { $0.kind == .cdrom }[...]
    places[2] = discs.popFirst()
    for drive in drives where drive.kind == .hardDisk {
      guard let free = [0, 1, 3, 2].first(where: { places[$0] == nil }) else {
        log("there are four places for IDE drives; only INT 13h reaches a further hard disk")
        break
      }
      places[free] = drive
    }
    for drive in discs {
      guard let free = [3, 1, 0].first(where: { places[$0] == nil }) else {
        log("there are four places for IDE drives; only INT 13h reaches a further CD drive")
        break
      }
      places[free] = drive
    }
    return places
  }

  /// In the order in which they are reset, saved and restored.
  var devices: [any Device] { [dma, floppy] + channels }

  /// Gives the controllers their ports.
  func register(on ports: PortBus) throws(BusError) {
    try ports.register(dma.bytePorts, at: MemoryMap.dma1)
    try ports.register(dma.wordPorts, at: MemoryMap.dma2)
    try ports.register(dma.pagePorts, at: MemoryMap.dmaPages)
    try ports.register(floppy.ports, at: MemoryMap.floppy)
    try ports.register(floppy.rateAndChangePort, at: MemoryMap.floppyRate)
    let blocks = [
      (MemoryMap.primaryIDE, MemoryMap.primaryIDEControl),
      (MemoryMap.secondaryIDE, MemoryMap.secondaryIDEControl),
    ]
    for (channel, block) in zip(channels, blocks) {
      try ports.register(channel.commandPorts, at: block.0, wiring: .native)
      try ports.register(channel.controlPort, at: block.1)
    }
  }

  /// Starts the threads that read and write the images.
  func start() throws(HostError) {
    for worker in workers { try worker.start() }
  }

  /// Ends them, once what the guest gave is written.
  func stop() {
    for worker in workers { worker.stop() }
  }
}
