import DeviceTestKit
import KVMEngine
import Testing

@testable import Storage

@Suite struct CDDriveTests {
  let files = TemporaryImages()
  let image = TestImage(sectors: 40_000, readOnly: true)

  /// A drive with the test's disc in it whose first UNIT ATTENTION was taken.
  func rig() throws -> IDERig {
    let rig = try IDERig(first: IDERig.drive(image, kind: .cdrom))
    rig.packet([0x00])
    #expect(rig.status == 0x41 && rig.input(1) == 0x60)
    return rig
  }

  func sense(_ rig: IDERig) -> [UInt8] {
    rig.packet([0x03, 0, 0, 0, 18])
    let data = rig.takePacketData()
    return data.count == 18 ? [data[2], data[12], data[13]] : []
  }

  func blocks(_ range: Range<UInt64>) -> [UInt8] {
    (range.lowerBound * 4..<range.upperBound * 4).flatMap { TestImage.pattern($0) }
  }

  @Test func signsAsAPacketDevice() throws {
    let rig = try rig()
    rig.setControl(4)
    rig.setControl(0)
    #expect(rig.status == 0 && rig.input(4) == 0x14 && rig.input(5) == 0xEB)
    rig.issue(0xEC)
    #expect(rig.status == 0x51 && rig.input(4) == 0x14 && rig.input(5) == 0xEB)
    rig.issue(0xA1)
    #expect(rig.status == 0x58)
    let words = rig.readWords(256)
    #expect(words[0] == 0xC0 && words[1] == 0x85)
    rig.out(7, 0x08)
    #expect(rig.status == 0 && rig.input(4) == 0x14)
  }

  @Test func saysWhatItIs() throws {
    let rig = try rig()
    rig.packet([0x12, 0, 0, 0, 36])
    #expect(rig.input(2) == 2)
    let data = rig.takePacketData()
    #expect(data.count == 36 && data[0] == 5 && data[1] == 0x80)
    #expect(String(decoding: data[8..<16], as: UTF8.self) == "PORTHOLE")
    #expect(rig.status == 0x40 && rig.input(2) == 3)
  }

  @Test func readsInBlocksOfTheHostsLimit() throws {
    let rig = try rig()
    let before = rig.interrupts
    rig.packet([0x28, 0, 0, 0, 0, 100, 0, 0, 5])
    #expect(rig.takePacketData() == blocks(100..<105))
    #expect(rig.interrupts == before + 6 && rig.status == 0x40)
    rig.packet([0xA8, 0, 0, 0, 0, 16, 0, 0, 0, 80], limit: 0xFFFF)
    #expect(rig.takePacketData() == blocks(16..<96))
    rig.packet([0xBE, 0, 0, 0, 0, 7, 0, 0, 2, 0x10], limit: 1000)
    #expect(rig.takePacketData() == blocks(7..<9))
    rig.packet([0x28, 0, 0, 0, 0x27, 0x0F, 0, 0, 2])
    #expect(rig.status == 0x41 && rig.input(1) == 0x50)
    #expect(sense(rig) == [5, 0x21, 0])
    #expect(sense(rig) == [0, 0, 0])
  }

  @Test func readsByDMA() throws {
    let rig = try rig()
    rig.describe([(0x8000, 0x1000), (0xA000, 0x0800)])
    let before = rig.interrupts
    rig.packet([0x28, 0, 0, 0, 0, 3, 0, 0, 3], dma: true)
    #expect(rig.interrupts == before)
    rig.setBusMaster(0, 0x09)
    #expect(rig.interrupts == before + 1 && rig.status == 0x40)
    let data =
      rig.space.bytes(at: 0x8000, count: 0x1000) + rig.space.bytes(at: 0xA000, count: 0x800)
    #expect(data == blocks(3..<6))
  }

  @Test func badBlocksAreMediumErrors() throws {
    image.state.withLock { $0.bad = [41] }
    let rig = try rig()
    rig.packet([0x28, 0, 0, 0, 0, 9, 0, 0, 5])
    #expect(rig.takePacketData().count >= 2048)
    #expect(rig.status == 0x41)
    #expect(sense(rig) == [3, 0x11, 0])
  }

  @Test func tellsOfTheDisc() throws {
    let rig = try rig()
    rig.packet([0x25])
    #expect(rig.takePacketData() == [0, 0, 0x27, 0x0F, 0, 0, 8, 0])
    rig.packet([0x43, 0, 0, 0, 0, 0, 0, 0, 64])
    #expect(
      rig.takePacketData() == [
        0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x16, 0xAA, 0, 0, 0, 0x27, 0x10,
      ])
    rig.packet([0x43, 2, 0, 0, 0, 0, 0xAA, 0, 12])
    #expect(rig.takePacketData() == [0, 10, 1, 1, 0, 0x16, 0xAA, 0, 0, 2, 15, 25])
    rig.packet([0x43, 0, 1, 0, 0, 0, 0, 0, 12])
    #expect(rig.takePacketData() == [0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0])
    rig.packet([0x43, 0, 2, 0, 0, 0, 0, 0, 255])
    #expect(rig.takePacketData().count == 4 + 4 * 11)
    rig.packet([0x51, 0, 0, 0, 0, 0, 0, 0, 34])
    #expect(rig.takePacketData().count == 34)
    rig.packet([0x52, 1, 0, 0, 0, 1, 0, 0, 36])
    #expect(rig.takePacketData().suffix(12).prefix(4) == [0, 0, 0x27, 0x10])
    rig.packet([0x46, 0, 0, 0, 0, 0, 0, 0, 200])
    let features = rig.takePacketData()
    #expect(features[7] == 8 && features.count == Int(features[3]) + 4)
    rig.packet([0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 128])
    let page = rig.takePacketData()
    #expect(page.count == 8 + 20 && page[8] == 0x2A)
    rig.packet([0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8])
    #expect(rig.takePacketData().count == 8)
  }

  @Test func modePagesAreTaken() throws {
    let rig = try rig()
    rig.packet([0x55, 0x10, 0, 0, 0, 0, 0, 0, 16])
    #expect(rig.status == 0x58 && rig.input(2) == 0)
    rig.writeWords([0, 0, 0, 0, 0, 0, 0, 0, 1, 6, 0x20, 9, 0, 0, 0, 0])
    #expect(rig.status == 0x40)
    rig.packet([0x5A, 0, 1, 0, 0, 0, 0, 0, 128])
    #expect(Array(rig.takePacketData().suffix(8)) == [1, 6, 0x20, 9, 0, 0, 0, 0])
    rig.packet([0x55, 0x10, 0, 0, 0, 0, 0, 0, 10])
    rig.writeWords([0, 0, 0, 0, 0, 0, 0, 0, 1, 6])
    #expect(rig.status == 0x41)
    #expect(sense(rig) == [5, 0x26, 0])
  }

  @Test func unknownCommandsAreRefused() throws {
    let rig = try rig()
    rig.packet([0xA4])
    #expect(rig.status == 0x41)
    #expect(sense(rig) == [5, 0x20, 0])
  }

  @Test func mediaComeAndGo() throws {
    let disc = files.make("disc.iso", size: 1 << 20)
    let other = files.make("other.iso", size: 2 << 20)
    let drive = try Drive(DriveDescription(kind: .cdrom, path: disc))
    let rig = try IDERig(first: nil, second: drive)
    let test = {
      rig.packet([0x00], device: 1)
      return rig.status
    }
    let senseOfSecond = {
      rig.packet([0x03, 0, 0, 0, 18], device: 1)
      let data = rig.takePacketData()
      return [data[2], data[12], data[13]]
    }
    #expect(test() == 0x41 && test() == 0x40)
    rig.packet([0x1E, 0, 0, 0, 1], device: 1)
    #expect(throws: ImageError.self) { try drive.eject() }
    rig.packet([0x1B, 0, 0, 0, 2], device: 1)
    #expect(rig.status == 0x41)
    #expect(senseOfSecond() == [5, 0x53, 2])
    rig.packet([0x1E, 0, 0, 0, 0], device: 1)
    try drive.insert(path: other)
    #expect(test() == 0x41)
    #expect(senseOfSecond() == [6, 0x28, 0])
    rig.packet([0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8], device: 1)
    #expect(rig.takePacketData() == [0, 6, 4, 0x10, 2, 2, 0, 0])
    rig.packet([0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8], device: 1)
    #expect(rig.takePacketData() == [0, 6, 4, 0x10, 0, 2, 0, 0])
    rig.packet([0x25], device: 1)
    #expect(rig.takePacketData() == [0, 0, 3, 0xFF, 0, 0, 8, 0])
    rig.packet([0x1B, 0, 0, 0, 2], device: 1)
    #expect(rig.status == 0x40 && drive.medium == nil)
    #expect(test() == 0x41)
    #expect(senseOfSecond() == [2, 0x3A, 2])
    // A change that nobody asked after survives in the saved state.
    try drive.insert(path: disc)
    let twin = try IDERig(first: nil, second: drive)
    try twin.channel.restore(rig.channel.save())
    twin.packet([0x00], device: 1)
    #expect(twin.status == 0x41 && twin.input(1) == 0x60)
  }

  @Test func conforms() throws {
    let disk = TestImage(sectors: 1 << 16)
    for seed in 1...3 as ClosedRange<UInt64> {
      #expect(try IDEConformance.violations(first: disk, second: image, seed: seed).isEmpty)
    }
  }
}
