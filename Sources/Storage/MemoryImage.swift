import KVMEngine
import Synchronization

/// A medium in memory: what is built into the program. Writes last until the process ends.
public final class MemoryImage: BlockImage {
  private let memory: Mutex<ZeroedMemory>
  public let sectorCount: UInt64
  public var isReadOnly: Bool { false }

  /// A medium that begins with `contents` and has at least `sectorCount` sectors, zeroes behind.
  public init(_ contents: [UInt8], sectorCount minimum: UInt64) {
    let sectors = max((contents.count + Sector.bytes - 1) / Sector.bytes, Int(minimum))
    sectorCount = UInt64(sectors)
    let memory = ZeroedMemory(byteCount: sectors * Sector.bytes)
    memory.bytes.copyBytes(from: contents)
    self.memory = Mutex(memory)
  }

  public func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    let range = try byteRange(sector, count, room: buffer.count)
    memory.withLock { buffer.copyBytes(from: $0.bytes[range]) }
  }

  public func write(
    sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer
  ) throws(ImageError) {
    let range = try byteRange(sector, count, room: buffer.count)
    memory.withLock { memory in
      UnsafeMutableRawBufferPointer(rebasing: memory.bytes[range])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<range.count]))
    }
  }

  public func flush() throws(ImageError) {}

  private func byteRange(
    _ sector: UInt64, _ count: Int, room: Int
  ) throws(ImageError) -> Range<Int> {
    guard holds(sector: sector, count: count), room >= count * Sector.bytes else {
      throw ImageError.outOfRange("the built-in disk", sector: sector, count: count)
    }
    let first = Int(sector) * Sector.bytes
    return first..<(first + count * Sector.bytes)
  }
}
