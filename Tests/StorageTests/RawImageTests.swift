import Glibc
import Testing

@testable import Storage

@Suite struct RawImageTests {
  let files = TemporaryImages()

  func problem(_ body: () throws(ImageError) -> Void) -> ImageError? {
    do throws(ImageError) { try body() } catch { return error }
    return nil
  }

  @Test func saysWhatIsWrongWithAPath() {
    let missing = problem { () throws(ImageError) in
      _ = try RawImage(path: "\(files.folder)/no.img", readOnly: true)
    }
    #expect(missing?.problem == .missing)
    #expect(missing?.description == "there is no image \(files.folder)/no.img")
    for readOnly in [false, true] {
      let directory = problem { () throws(ImageError) in
        _ = try RawImage(path: files.folder, readOnly: readOnly)
      }
      #expect(directory?.problem == .directory)
    }
    let empty = files.make("empty.img")
    let nothing = problem { () throws(ImageError) in
      _ = try RawImage(path: empty, readOnly: true)
    }
    #expect(nothing?.problem == .empty)
    let terminal = problem { () throws(ImageError) in
      _ = try RawImage(path: "/dev/null", readOnly: true)
    }
    #expect(terminal?.problem == .notAnImage)
  }

  @Test(.enabled(if: geteuid() != 0, "root may read and write everything"))
  func saysThatAFileMayNotBeUsed() {
    let path = files.make("secret.img", size: 512)
    chmod(path, 0o400)
    let write = problem { () throws(ImageError) in _ = try RawImage(path: path, readOnly: false) }
    #expect(write?.problem == .notWritable)
    chmod(path, 0)
    let read = problem { () throws(ImageError) in _ = try RawImage(path: path, readOnly: true) }
    #expect(read?.problem == .unreadable)
  }

  @Test func readsWhatItWrote() throws {
    let path = files.make("disk.img", size: 8 * 512)
    let image = try RawImage(path: path, readOnly: false)
    #expect(image.sectorCount == 8)
    let data = (0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try data.withUnsafeBytes { try image.write(sector: 3, count: 2, from: $0) }
    try image.flush()
    #expect(try image.bytes(sector: 3, count: 2) == data)
    #expect(try image.bytes(sector: 2) == [UInt8](repeating: 0, count: 512))
    #expect(try image.bytes(sector: 5) == [UInt8](repeating: 0, count: 512))
  }

  @Test func refusesWhatLiesBeyondTheEnd() throws {
    let image = try RawImage(path: files.make("disk.img", size: 8 * 512), readOnly: false)
    var buffer = [UInt8](repeating: 1, count: 1024)
    for (sector, count) in [(7, 2), (8, 1), (UInt64.max, 1), (UInt64.max, 2), (0, -1), (9, 0)]
      as [(UInt64, Int)]
    {
      #expect(throws: ImageError.self) {
        try buffer.withUnsafeMutableBytes {
          try image.read(sector: sector, count: count, into: $0)
        }
      }
      #expect(throws: ImageError.self) {
        try buffer.withUnsafeBytes { try image.write(sector: sector, count: count, from: $0) }
      }
    }
    #expect(image.byteCount == 4096)
  }

  @Test func padsAFileThatEndsWithinASector() throws {
    let path = files.make("boot.bin", [UInt8](repeating: 0xAB, count: 700))
    let image = try RawImage(path: path, readOnly: false)
    #expect(image.sectorCount == 2)
    let last = try image.bytes(sector: 1)
    #expect(last[187] == 0xAB && last[188] == 0)
    try [UInt8](repeating: 5, count: 512).withUnsafeBytes {
      try image.write(sector: 1, count: 1, from: $0)
    }
    var status = stat()
    stat(path, &status)
    #expect(status.st_size == 1024)
  }

  @Test func aReadOnlyImageCannotBeWritten() throws {
    let image = try RawImage(path: files.make("disk.img", size: 512), readOnly: true)
    let error = problem { () throws(ImageError) in
      let data = UnsafeRawBufferPointer(start: nil, count: 0)
      try image.write(sector: 0, count: 0, from: data)
    }
    #expect(error?.problem == .readOnly)
  }

  @Test func onlyReadersShareAnImage() throws {
    let path = files.make("disk.img", size: 512)
    do {
      let writer = try RawImage(path: path, readOnly: false)
      for readOnly in [false, true] {
        let error = problem { () throws(ImageError) in
          _ = try RawImage(path: path, readOnly: readOnly)
        }
        #expect(error?.problem == .inUse)
        #expect(error?.description.contains(path) == true)
      }
      #expect(writer.sectorCount == 1)
    }
    let first = try RawImage(path: path, readOnly: true)
    let second = try RawImage(path: path, readOnly: true)
    let error = problem { () throws(ImageError) in _ = try RawImage(path: path, readOnly: false) }
    #expect(error?.problem == .inUse)
    #expect(first.sectorCount == second.sectorCount)
  }

  @Test func aSliceIsAReadOnlyPartThatEndsWithItsImage() throws {
    var data = [UInt8](repeating: 0, count: 4096)
    for index in data.indices { data[index] = UInt8(index / 512) }
    let image = try RawImage(path: files.make("cd.iso", data), readOnly: true)
    let slice = ImageSlice(of: image, first: 4, count: 100)
    #expect(slice.sectorCount == 4 && slice.isReadOnly)
    #expect(try slice.bytes(sector: 1)[0] == 5)
    #expect(throws: ImageError.self) { try slice.bytes(sector: 4) }
    #expect(ImageSlice(of: image, first: .max, count: .max).sectorCount == 0)
  }
}
