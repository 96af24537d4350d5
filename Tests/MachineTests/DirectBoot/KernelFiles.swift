import Glibc

@testable import Machine

/// Makes kernels as files have them.
enum KernelFiles {
  /// One loadable segment of an ELF file.
  struct Segment {
    var address: UInt64
    var content: [UInt8]
    var size: UInt64?
    var virtual: UInt64?
  }

  /// An ELF executable of either kind, with notes if any.
  static func elf(
    is64Bit: Bool, entry: UInt64, segments: [Segment], notes: [UInt8] = []
  ) -> [UInt8] {
    let headerBytes = is64Bit ? 64 : 52
    let programBytes = is64Bit ? 56 : 32
    let count = segments.count + (notes.isEmpty ? 0 : 1)
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, is64Bit ? 2 : 1, 1, 1]
    file += [UInt8](repeating: 0, count: 9)
    func word(_ value: UInt64) {
      if is64Bit { file.append(field: value) } else { file.append(field: UInt32(value)) }
    }
    file.append(field: UInt16(2))
    file.append(field: UInt16(is64Bit ? 62 : 3))
    file.append(field: UInt32(1))
    word(entry)
    word(UInt64(headerBytes))
    word(0)
    file.append(field: UInt32(0))
    for value in [headerBytes, programBytes, count, 0, 0, 0] { file.append(field: UInt16(value)) }
    var offset = UInt64(headerBytes + programBytes * count)
    func program(_ kind: UInt32, _ segment: Segment) {
      let sizes = (UInt64(segment.content.count), segment.size ?? UInt64(segment.content.count))
      file.append(field: kind)
      if is64Bit { file.append(field: UInt32(7)) }
      word(offset)
      word(segment.virtual ?? segment.address)
      word(segment.address)
      word(sizes.0)
      word(sizes.1)
      if !is64Bit { file.append(field: UInt32(7)) }
      word(1)
      offset += sizes.0
    }
    for segment in segments { program(1, segment) }
    if !notes.isEmpty { program(4, Segment(address: 0, content: notes)) }
    return file + segments.flatMap(\.content) + notes
  }

  /// A note of an ELF file.
  static func note(_ name: String, _ kind: UInt32, _ content: [UInt8]) -> [UInt8] {
    func padded(_ bytes: [UInt8]) -> [UInt8] {
      bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }
    var note: [UInt8] = []
    note.append(field: UInt32(name.utf8.count + 1))
    note.append(field: UInt32(content.count))
    note.append(field: kind)
    return note + padded(Array(name.utf8) + [0]) + padded(content)
  }

  /// A bzImage whose protected-mode code is `code` and then `payload`.
  static func bzImage(
    version: UInt16 = 0x020F, payload: [UInt8] = [], code: [UInt8] = [0xF4], setup: [UInt8] = [],
    extendedFlags: UInt16 = 0, relocatable: UInt8 = 1, loadFlags: UInt8 = 1,
    code32Start: UInt32 = 0x0010_0000, initSize: UInt32 = 0x10000
  ) -> [UInt8] {
    typealias Field = SetupHeader.Field
    var image = [UInt8](repeating: 0, count: 0x268) + setup
    image += [UInt8](repeating: 0, count: 1024 - image.count)
    image[Field.setupSectors] = 1
    image.setField(UInt16(0xAA55), at: Field.bootFlag)
    image[Field.jumpDistance - 1] = 0xEB
    image[Field.jumpDistance] = 0x66
    image.setField(SetupHeader.signature, at: Field.signature)
    image.setField(version, at: Field.version)
    image[Field.loadFlags] = loadFlags
    image.setField(code32Start, at: Field.code32Start)
    image.setField(UInt32(0x7FFF_FFFF), at: Field.ramDiskLimit)
    image.setField(UInt32(0x0020_0000), at: Field.alignment)
    image[Field.relocatable] = relocatable
    image.setField(extendedFlags, at: Field.extendedLoadFlags)
    image.setField(UInt32(63), at: Field.commandLineSize)
    image.setField(UInt32(code.count), at: Field.payloadOffset)
    image.setField(UInt32(payload.count), at: Field.payloadLength)
    image.setField(UInt64(0x0100_0000), at: Field.preferredAddress)
    image.setField(initSize, at: Field.initSize)
    var body = code + payload
    body += [UInt8](repeating: 0, count: (16 - body.count % 16) % 16)
    image.setField(UInt32(body.count / 16), at: Field.protectedParagraphs)
    return image + body
  }

  /// `bytes` as gzip stores what it does not compress (RFC 1951, 3.2.4; RFC 1952).
  static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var file: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1]
    file.append(field: UInt16(bytes.count))
    file.append(field: ~UInt16(bytes.count))
    file += bytes
    var sum: UInt32 = .max
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 != 0 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
    }
    file.append(field: ~sum)
    file.append(field: UInt32(bytes.count))
    return file
  }
}

/// A folder for a test's files, gone with it.
final class BootFolder {
  private let path: String

  init() throws {
    var template = Array("/tmp/porthole-boot-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw MachineError("no temporary folder") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in ["kernel", "disk"] { unlink(path + "/" + name) }
    rmdir(path)
  }

  /// Writes a file, and says where it is.
  func file(_ name: String, _ bytes: [UInt8]) -> String {
    let place = path + "/" + name
    guard let file = fopen(place, "w") else { return place }
    defer { fclose(file) }
    _ = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    return place
  }
}
