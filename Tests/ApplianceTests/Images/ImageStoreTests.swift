import Storage
import Glibc
import KVMEngine
import Storage
import Testing

@testable import Appliance

/// A store in a folder of its own, with what is needed to fill it.
func withImageStore<Result>(_ body: (ImageStore, String) throws -> Result) throws -> Result {
  try withTemporaryFolder { folder in
    try body(ImageStore(StoreDirectories(root: folder + "/home")), folder)
  }
}

/// Makes the file at `path`, with the folders above it.
func write(_ bytes: [UInt8], _ path: String) throws {
  if let slash = path.lastIndex(of: "/") { try StoreDirectories.make(String(path[..<slash])) }
  try OutputFile.save(bytes, path: path)
}

/// `size` bytes that no other seed gives.
func noise(_ size: Int, seed: UInt8 = 1) -> [UInt8] {
  var state = UInt32(seed) &+ 7
  return (0..<size).map { _ in
    state = state &* 1_664_525 &+ 1_013_904_223
    return UInt8(truncatingIfNeeded: state >> 24)
  }
}

/// The first bytes of a qcow2 file of version 3; no whole one.
func qcow2(backing: String = "") -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: 65536)
  bytes.replaceSubrange(0..<8, with: [0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3])
  if !backing.isEmpty {
    bytes[14] = 2
    bytes[19] = UInt8(truncatingIfNeeded: backing.utf8.count)
    bytes.replaceSubrange(512..<(512 + backing.utf8.count), with: backing.utf8)
  }
  return bytes
}

@discardableResult
func importFile(
  _ store: ImageStore, _ name: String, _ path: String, settings: ImageSettings = ImageSettings(),
  format: ImageFormat? = nil, expected: String? = nil
) throws -> ImageImport.Outcome {
  try ImageImport(
    store: store, name: name, path: path, format: format, expected: expected, settings: settings
  ).run { _, _ in }
}

@Suite struct ImageStoreTests {
  @Test func anImportedImageIsFoundWithWhatItNeeds() throws {
    try withImageStore { (store, folder) throws in
      let bytes = noise(300_000)
      try write(bytes, folder + "/disk.img")
      let settings = ImageSettings(
        memory: 1 << 30, cpus: 2, firmware: .ovmf, keyboard: "de", ready: .text("login: \"x\""))
      let made = try importFile(store, "golden", folder + "/disk.img", settings: settings)
      let image = try store.image(named: "golden")
      #expect(image == made.image)
      #expect(image.settings == settings)
      #expect(image.kind == .hardDisk && image.format == .raw && image.size == 300_000)
      #expect(try DurableFile.read(image.path, limit: 1 << 20) == bytes)
      #expect(image.source == folder + "/disk.img")
      var status = stat()
      #expect(stat(image.path, &status) == 0 && status.st_mode & 0o777 == 0o444)
    }
  }

  @Test func theChecksumIsSHA256() throws {
    try withImageStore { (store, folder) throws in
      // FIPS 180-4's example, with what makes it longer than a piece being zero.
      try write(Array("abc".utf8), folder + "/abc.img")
      let image = try importFile(store, "abc", folder + "/abc.img").image
      let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      #expect(image.digest == abc)
      #expect(try ContentDigest.ofFile(image.path) { _, _ in } == abc)
    }
  }

  @Test func holesStayHolesAndCountAsZeroes() throws {
    try withImageStore { (store, folder) throws in
      let path = folder + "/sparse.img"
      let size = 5 << 20
      var bytes = [UInt8](repeating: 0, count: size)
      bytes.replaceSubrange((2 << 20)..<(2 << 20) + 4096, with: noise(4096))
      // The same content, once with a hole in front and behind, once written out.
      let sparse = open(path, O_RDWR | O_CREAT, 0o600)
      ftruncate(sparse, off_t(size))
      _ = noise(4096).withUnsafeBytes { pwrite(sparse, $0.baseAddress, 4096, 2 << 20) }
      close(sparse)
      try write(bytes, folder + "/full.img")
      let one = try importFile(store, "sparse", path)
      let other = try importFile(store, "full", folder + "/full.img")
      #expect(other.twin == "sparse" && one.image.digest == other.image.digest)
      #expect(try DurableFile.read(one.image.path, limit: size) == bytes)
      var status = stat()
      #expect(stat(other.image.path, &status) == 0 && status.st_blocks * 512 < 1 << 20)
    }
  }

  @Test func theSameContentIsKeptOnce() throws {
    try withImageStore { (store, folder) throws in
      try write(noise(100_000), folder + "/a.img")
      try importFile(store, "one", folder + "/a.img")
      #expect(try importFile(store, "two", folder + "/a.img").twin == "one")
      var first = stat()
      var second = stat()
      #expect(stat(try store.image(named: "one").path, &first) == 0)
      #expect(stat(try store.image(named: "two").path, &second) == 0)
      #expect(first.st_ino == second.st_ino && first.st_nlink == 2)
      try store.delete("one")
      #expect(try store.image(named: "two").size == 100_000)
    }
  }

  @Test func aNameIsTakenOnce() throws {
    try withImageStore { (store, folder) throws in
      try write(noise(1000), folder + "/a.img")
      try importFile(store, "a", folder + "/a.img")
      #expect(throws: ImageDraft.taken("a")) { try importFile(store, "a", folder + "/a.img") }
    }
  }

  @Test func anotherChecksumThanTheExpectedLeavesNothing() throws {
    try withImageStore { (store, folder) throws in
      try write(noise(1000), folder + "/a.img")
      #expect(throws: Complaint.self) {
        try importFile(
          store, "a", folder + "/a.img", expected: String(repeating: "0", count: 64))
      }
      #expect(try Folder.names(in: store.directories.images).isEmpty)
    }
  }

  @Test func aRawDiskThatHoldsAnotherFormatsHeaderStaysRaw() throws {
    try withImageStore { (store, folder) throws in
      try write(qcow2(backing: "/etc/shadow"), folder + "/a.img")
      try importFile(store, "a", folder + "/a.img", format: .raw)
      #expect(try store.image(named: "a").format == .raw)
      #expect(try store.image(named: "a").size == 65536)
    }
  }

  @Test func overlaysAndDamagedFilesAreRefused() throws {
    try withImageStore { (store, folder) throws in
      let files: [(String, [UInt8], String)] = [
        ("overlay", qcow2(backing: "/etc/passwd"), "overlay"), ("nothing", [], "empty"),
        ("header", Array(qcow2().prefix(80)), "header"), ("nonsense", qcow2(), "nonsense"),
      ]
      for (name, bytes, word) in files {
        try write(bytes, "\(folder)/\(name)")
        #expect("a sentence with \(word)") {
          try importFile(store, name, "\(folder)/\(name)")
        } throws: {
          "\($0)".contains(word)
        }
      }
      #expect(try store.names().isEmpty)
    }
  }

  @Test func aQCOW2DiskIsAsLargeAsItsMedium() throws {
    try withImageStore { (store, folder) throws in
      let path = folder + "/disk.qcow2"
      try DiskImage.create(.qcow2, at: path, QCOW2Options(size: 1 << 40))
      try importFile(store, "terabyte", path)
      let image = try store.image(named: "terabyte")
      #expect(image.format == .qcow2 && image.size == 1 << 40 && image.kind == .hardDisk)
      let overlay = folder + "/overlay.qcow2"
      try DiskImage.createOverlay(at: overlay, backing: image.path, backingFormat: image.format)
      #expect(try DiskImage.open(path: overlay, readOnly: true).byteCount == 1 << 40)
    }
  }

  @Test func whatSomebodyWritesToIsNotImported() throws {
    try withImageStore { (store, folder) throws in
      try write(noise(1024), folder + "/a.img")
      let writer = try DiskImage.open(path: folder + "/a.img", readOnly: false)
      #expect(throws: ImageError.self) { try importFile(store, "a", folder + "/a.img") }
      withExtendedLifetime(writer) {}
    }
  }

  @Test func aDescriptionCanNotLeadOutOfItsFolder() throws {
    try withImageStore { (store, folder) throws in
      try write(noise(1000), folder + "/a.img")
      try importFile(store, "a", folder + "/a.img")
      let file = store.folder(of: "a") + "/image.yaml"
      let text = String(decoding: try DurableFile.read(file, limit: 4096) ?? [], as: UTF8.self)
      for name in ["../../../etc/passwd", "/etc/passwd", "..", "\"\""] {
        try write(Array(text.replacing("file: disk.raw", with: "file: \(name)").utf8), file)
        #expect("line and key") {
          try store.image(named: "a")
        } throws: {
          "\($0)".contains("file") || "\($0)".contains("missing")
        }
      }
      try write(Array((text + "surprise: 1\n").utf8), file)
      #expect("the key") { try store.image(named: "a") } throws: { "\($0)".contains("surprise") }
      try write(Array(text.replacing("version: 1", with: "version: 2").utf8), file)
      #expect("newer") { try store.image(named: "a") } throws: { "\($0)".contains("newer") }
      #expect(try store.images().problems.count == 1)
    }
  }
}
