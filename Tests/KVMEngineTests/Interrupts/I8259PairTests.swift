import DeviceTestKit
import Synchronization
import Testing

@testable import KVMEngine

/// The pair as a PC's firmware sets it up: vectors 0x08 and 0x70, everything unmasked.
private struct PC {
  let pair: I8259Pair
  let intr: LineRecorder

  init(icw1: UInt8 = 0x11, masterICW4: UInt8 = 0x01, slaveICW4: UInt8 = 0x01) {
    let recorder = LineRecorder()
    intr = recorder
    pair = I8259Pair { recorder.setLine(0, asserted: $0) }
    master(0, icw1)
    master(1, 0x08)
    master(1, 0x04)
    master(1, masterICW4)
    slave(0, icw1)
    slave(1, 0x70)
    slave(1, 0x02)
    slave(1, slaveICW4)
  }

  func master(_ offset: UInt16, _ value: UInt8) {
    pair.master.writePort(offset, width: .byte, value: UInt32(value))
  }
  func slave(_ offset: UInt16, _ value: UInt8) {
    pair.slave.writePort(offset, width: .byte, value: UInt32(value))
  }
  func elcr(_ offset: UInt16, _ value: UInt8) {
    pair.elcr.writePort(offset, width: .byte, value: UInt32(value))
  }
  func read(_ port: any PortDevice, _ offset: UInt16 = 0) -> UInt32 {
    port.readPort(offset, width: .byte)
  }
  func raise(_ irqs: Int...) { for irq in irqs { pair.setLine(irq, asserted: true) } }
  func lower(_ irqs: Int...) { for irq in irqs { pair.setLine(irq, asserted: false) } }
  func pulse(_ irqs: Int...) {
    for irq in irqs {
      lower(irq)
      raise(irq)
    }
  }
  /// What a processor does that looks at INTR.
  func interrupt() -> UInt8? { pair.interruptPending ? pair.acknowledge() : nil }

  var masterISR: UInt32 {
    master(0, 0x0B)
    return read(pair.master)
  }
  var masterIRR: UInt32 {
    master(0, 0x0A)
    return read(pair.master)
  }
  var slaveISR: UInt32 {
    slave(0, 0x0B)
    return read(pair.slave)
  }
}

private let endOfInterrupt: UInt8 = 0x20

@Suite struct I8259PairTests {
  @Test func deliversVectorOfRaisedLine() {
    let pc = PC()
    pc.raise(1)
    #expect(pc.intr.level(0))
    #expect(pc.interrupt() == 0x09)
    #expect(!pc.intr.level(0))
    #expect(pc.masterISR == 0x02)
    #expect(pc.interrupt() == nil)
  }

  @Test func lowerInputHasHigherPriority() {
    let pc = PC()
    pc.raise(4, 1)
    #expect(pc.interrupt() == 0x09)
    #expect(pc.interrupt() == nil)
    pc.master(0, endOfInterrupt)
    #expect(pc.interrupt() == 0x0C)
  }

  @Test func higherPriorityPreemptsService() {
    let pc = PC()
    pc.raise(4)
    #expect(pc.interrupt() == 0x0C)
    pc.raise(0)
    #expect(pc.interrupt() == 0x08)
    #expect(pc.masterISR == 0x11)
    pc.master(0, endOfInterrupt)
    #expect(pc.masterISR == 0x10)
  }

  @Test func edgeIsTakenOnce() {
    let pc = PC()
    pc.raise(3)
    #expect(pc.interrupt() == 0x0B)
    pc.master(0, endOfInterrupt)
    pc.raise(3)
    #expect(pc.interrupt() == nil)
    pc.pulse(3)
    #expect(pc.interrupt() == 0x0B)
  }

  @Test func maskedRequestWaits() {
    let pc = PC()
    pc.master(1, 0x08)
    pc.raise(3)
    #expect(!pc.intr.level(0))
    #expect(pc.masterIRR == 0x08)
    #expect(pc.read(pc.pair.master, 1) == 0x08)
    pc.master(1, 0)
    #expect(pc.interrupt() == 0x0B)
  }

  @Test func slaveDeliversThroughCascade() {
    let pc = PC()
    pc.raise(12)
    #expect(pc.interrupt() == 0x74)
    #expect(pc.masterISR == 0x04)
    #expect(pc.slaveISR == 0x10)
    pc.raise(14)
    #expect(pc.interrupt() == nil)
    pc.slave(0, endOfInterrupt)
    pc.master(0, endOfInterrupt)
    #expect(pc.interrupt() == 0x76)
  }

  @Test func everyRequestOfTwoSlaveInputsArrives() {
    let pc = PC()
    pc.raise(8, 14)
    #expect(pc.interrupt() == 0x70)
    pc.slave(0, endOfInterrupt)
    #expect(pc.interrupt() == nil)
    pc.master(0, endOfInterrupt)
    #expect(pc.interrupt() == 0x76)
  }

  @Test func withdrawnRequestBecomesSpuriousSeven() {
    let pc = PC()
    pc.raise(4)
    #expect(pc.pair.interruptPending)
    pc.lower(4)
    #expect(pc.pair.acknowledge() == 0x0F)
    #expect(pc.masterISR == 0)
    #expect(pc.pair.acknowledge() == nil)
  }

  @Test func slaveRequestMaskedTooLateBecomesSpuriousSeven() {
    let pc = PC()
    // The slave drops INT when its input is masked, which withdraws the master's input 2.
    pc.raise(12)
    #expect(pc.pair.interruptPending)
    pc.slave(1, 0x10)
    #expect(pc.pair.acknowledge() == 0x0F)
    pc.slave(1, 0x00)
    #expect(pc.interrupt() == 0x74)
  }

  @Test func levelInputAsksAgainAfterEOI() {
    let pc = PC()
    pc.elcr(1, 0x08)
    pc.raise(11)
    #expect(pc.interrupt() == 0x73)
    pc.slave(0, endOfInterrupt)
    pc.master(0, endOfInterrupt)
    #expect(pc.interrupt() == 0x73)
    pc.lower(11)
    pc.slave(0, endOfInterrupt)
    pc.master(0, endOfInterrupt)
    #expect(pc.interrupt() == nil)
  }

  @Test func ltimMakesEveryInputLevelTriggered() {
    let pc = PC(icw1: 0x19)
    pc.raise(5)
    #expect(pc.interrupt() == 0x0D)
    pc.master(0, endOfInterrupt)
    #expect(pc.interrupt() == 0x0D)
  }

  @Test func elcrKeepsSystemInputsEdgeTriggered() {
    let pc = PC()
    pc.elcr(0, 0xFF)
    pc.elcr(1, 0xFF)
    #expect(pc.read(pc.pair.elcr, 0) == 0xF8)
    #expect(pc.read(pc.pair.elcr, 1) == 0xDE)
  }

  @Test func automaticEOILeavesNothingInService() {
    let pc = PC(masterICW4: 0x03)
    pc.raise(6)
    #expect(pc.interrupt() == 0x0E)
    #expect(pc.masterISR == 0)
  }

  @Test func rotatesOnAutoEOI() {
    let pc = PC(masterICW4: 0x03)
    pc.master(0, 0x80)
    pc.raise(0)
    #expect(pc.interrupt() == 0x08)
    pc.pulse(0, 1)
    #expect(pc.interrupt() == 0x09)
    pc.master(0, 0x00)
    pc.pulse(1)
    #expect(pc.interrupt() == 0x08)
    #expect(pc.interrupt() == 0x09)
  }

  @Test func rotatesOnNonSpecificEOI() {
    let pc = PC()
    pc.raise(4)
    #expect(pc.interrupt() == 0x0C)
    pc.master(0, 0xA0)
    pc.pulse(4, 5)
    #expect(pc.interrupt() == 0x0D)
  }

  @Test func rotatesOnSpecificEOI() {
    let pc = PC()
    pc.raise(2, 3)
    #expect(pc.interrupt() == 0x0B)
    pc.master(0, 0xE3)
    #expect(pc.masterISR == 0)
    pc.pulse(3, 4)
    #expect(pc.interrupt() == 0x0C)
  }

  @Test func setPriorityCommandRotates() {
    let pc = PC()
    pc.master(0, 0xC3)
    pc.raise(0, 4)
    #expect(pc.interrupt() == 0x0C)
    #expect(pc.interrupt() == nil)
  }

  @Test func specificEOIEndsThatServiceOnly() {
    let pc = PC()
    pc.raise(4)
    _ = pc.interrupt()
    pc.raise(1)
    _ = pc.interrupt()
    pc.master(0, 0x64)
    #expect(pc.masterISR == 0x02)
  }

  @Test func specialMaskModeLetsLowerPriorityThrough() {
    let pc = PC()
    pc.raise(1, 6)
    #expect(pc.interrupt() == 0x09)
    #expect(pc.interrupt() == nil)
    pc.master(1, 0x02)
    #expect(pc.interrupt() == nil)
    pc.master(0, 0x68)
    #expect(pc.interrupt() == 0x0E)
    // A non-specific EOI passes over the masked input in service.
    pc.master(0, endOfInterrupt)
    #expect(pc.masterISR == 0x02)
    pc.master(0, 0x48)
    pc.master(0, endOfInterrupt)
    #expect(pc.masterISR == 0)
  }

  @Test func specialFullyNestedModeLetsSlavePreemptItself() {
    let pc = PC(masterICW4: 0x11)
    pc.raise(12)
    #expect(pc.interrupt() == 0x74)
    pc.raise(8)
    #expect(pc.interrupt() == 0x70)
    pc.raise(3)
    #expect(pc.interrupt() == nil)
  }

  @Test func pollTakesRequestIntoService() {
    let pc = PC()
    pc.master(0, 0x0C)
    #expect(pc.read(pc.pair.master) == 0)
    pc.raise(5)
    pc.master(0, 0x0C)
    #expect(pc.read(pc.pair.master) == 0x85)
    #expect(pc.masterISR == 0x20)
    #expect(pc.interrupt() == nil)
  }

  @Test func initializationForgetsRequestsMasksAndService() {
    let pc = PC()
    pc.raise(1)
    _ = pc.interrupt()
    pc.raise(3)
    pc.master(1, 0xFF)
    pc.master(0, 0x11)
    #expect(!pc.intr.level(0))
    pc.master(1, 0x20)
    pc.master(1, 0x04)
    pc.master(1, 0x01)
    #expect(pc.read(pc.pair.master, 1) == 0)
    #expect(pc.masterISR == 0)
    #expect(pc.interrupt() == nil)
    pc.pulse(3)
    #expect(pc.interrupt() == 0x23)
  }

  @Test func initializationWithoutICW4EndsAfterICW3() {
    let pc = PC()
    pc.master(0, 0x10)
    pc.master(1, 0x40)
    pc.master(1, 0x04)
    pc.master(1, 0x5A)
    #expect(pc.read(pc.pair.master, 1) == 0x5A)
  }

  @Test func singleChipHasNoICW3() {
    let pc = PC()
    pc.master(0, 0x12)
    pc.master(1, 0x40)
    pc.master(1, 0xF0)
    #expect(pc.read(pc.pair.master, 1) == 0xF0)
  }

  @Test func lineThatDoesNotExistIsIgnored() {
    let pc = PC()
    pc.raise(-1, 2, 16, 1_000)
    #expect(pc.interrupt() == nil)
  }

  @Test func restoredPairDrivesINTR() throws {
    let pc = PC()
    pc.raise(9)
    let other = PC()
    try other.pair.restore(pc.pair.save())
    #expect(other.intr.level(0))
    #expect(other.interrupt() == 0x71)
  }

  @Test func conforms() {
    var suite = DeviceConformance(
      make: { I8259Pair { _ in } },
      ports: { [($0.master, 0x20...0x21), ($0.slave, 0xA0...0xA1), ($0.elcr, 0x4D0...0x4D1)] })
    let count = Mutex(0)
    suite.between = { pair in
      let step = count.withLock { count in
        count += 1
        return count
      }
      pair.setLine(step % 19 - 1, asserted: step % 3 == 0)
      if pair.interruptPending { _ = pair.acknowledge() }
    }
    #expect(suite.violations(seed: 8259) == [])
  }
}
