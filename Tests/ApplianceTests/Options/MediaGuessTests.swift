import Glibc
import KVMEngine
import Storage
import Testing

@testable import Appliance

@Suite struct MediaGuessTests {
  @Test func contentsComeBeforeNames() {
    #expect(MediaGuess.kind(size: 1_474_560, isVolume: true, name: "a.img") == .cdrom)
    #expect(MediaGuess.kind(size: 1_474_560, isVolume: false, name: "a.img") == .floppy)
    #expect(MediaGuess.kind(size: 1_474_561, isVolume: false, name: "a.img") == .hardDisk)
    #expect(MediaGuess.kind(size: 512, isVolume: false, name: "a.vfd") == .floppy)
    #expect(MediaGuess.kind(size: 512, isVolume: false, name: "a.iso") == .cdrom)
  }

  @Test func findsAnISOVolumeUnderAnyName() throws {
    try withTemporaryFolder { folder in
      var image = [UInt8](repeating: 0, count: 40_000)
      let disk = try write(image, folder + "/disk")
      #expect(try MediaGuess.kind(of: disk) == .hardDisk)
      image.replaceSubrange(0x8001..<0x8006, with: Array("CD001".utf8))
      let volume = try write(image, folder + "/cd")
      #expect(try MediaGuess.kind(of: volume) == .cdrom)
    }
  }

  @Test func missingFilesAndFoldersAreSentences() throws {
    try withTemporaryFolder { folder in
      let missing = #expect(throws: HostError.self) { try MediaGuess.kind(of: folder + "/no") }
      #expect(missing?.description.contains("no such file") == true)
      let directory = #expect(throws: HostError.self) { try MediaGuess.kind(of: folder) }
      #expect(directory?.description.contains("it is a folder") == true)
    }
  }

  private func write(_ bytes: [UInt8], _ path: String) throws -> String {
    try OutputFile.save(bytes, path: path)
    return path
  }
}
