import Glibc
import KVMEngine

/// The adapter's memory: 16 MiB that can be shown, then the text window.
///
/// The four planes lie interleaved at the start: the byte of plane p at offset n is byte 4n + p, so
/// that one 32-bit word is what the four planes hold at one address. Behind the visible memory lies
/// the text window: characters and attributes as the guest sees them at B8000h. While it is in use,
/// it stands for planes 0 and 1 at the even offsets below 8000h.
struct VideoMemory: @unchecked Sendable {
  // SAFETY: the block holds `totalBytes` (checked by `init`) and lives as long as this does. Every
  // offset is masked into it. Guest code writes the memory at any time; readers take torn values.
  static let visibleBytes = BochsDispi.memoryBytes
  static let textOffset = visibleBytes
  /// Bytes of the text window that the guest sees.
  static let textBytes = 32 << 10
  static let totalBytes = 32 << 20
  /// Bytes of the four planes of a VGA.
  static let planeBytes = 256 << 10
  static let wordMask = visibleBytes / 4 - 1
  static let byteMask = visibleBytes - 1

  let block: MemoryBlock
  let visible: UnsafeMutableRawPointer
  let text: UnsafeMutableRawPointer

  init(_ block: MemoryBlock) {
    precondition(block.size >= Self.totalBytes, "video memory of 32 MiB")
    self.block = block
    visible = block.base
    text = block.base + Self.textOffset
  }

  /// What the planes hold at `offset`: plane p in bits 8p to 8p + 7.
  @inline(__always)
  func word(_ offset: Int) -> UInt32 {
    UInt32(
      littleEndian: visible.load(
        fromByteOffset: (offset & Self.wordMask) &<< 2, as: UInt32.self))
  }

  @inline(__always)
  func setWord(_ offset: Int, _ value: UInt32) {
    visible.storeBytes(
      of: value.littleEndian, toByteOffset: (offset & Self.wordMask) &<< 2, as: UInt32.self)
  }

  @inline(__always)
  func byte(_ offset: Int) -> UInt8 {
    visible.load(fromByteOffset: offset & Self.byteMask, as: UInt8.self)
  }

  @inline(__always)
  func setByte(_ offset: Int, _ value: UInt8) {
    visible.storeBytes(of: value, toByteOffset: offset & Self.byteMask, as: UInt8.self)
  }

  @inline(__always)
  func textByte(_ offset: Int) -> UInt8 {
    text.load(fromByteOffset: offset & (Self.textBytes - 1), as: UInt8.self)
  }

  @inline(__always)
  func setTextByte(_ offset: Int, _ value: UInt8) {
    text.storeBytes(of: value, toByteOffset: offset & (Self.textBytes - 1), as: UInt8.self)
  }

  /// The text window's bytes into planes 0 and 1.
  func copyTextToPlanes() {
    for offset in stride(from: 0, to: Self.textBytes, by: 2) {
      let cell = text.load(fromByteOffset: offset, as: UInt16.self)
      visible.storeBytes(of: cell, toByteOffset: offset &<< 2, as: UInt16.self)
    }
  }

  /// Planes 0 and 1 into the text window.
  func copyPlanesToText() {
    for offset in stride(from: 0, to: Self.textBytes, by: 2) {
      let cell = visible.load(fromByteOffset: offset &<< 2, as: UInt16.self)
      text.storeBytes(of: cell, toByteOffset: offset, as: UInt16.self)
    }
  }

  /// Clears `count` visible bytes from the start.
  func clear(_ count: Int) { memset(visible, 0, max(0, min(count, Self.visibleBytes))) }

  func clearText() { memset(text, 0, Self.textBytes) }
}

/// Pages of 4096 bytes that were written and not drawn yet.
struct DirtyPages: Sendable {
  static let visibleWords = VideoMemory.visibleBytes / 4096 / 64

  /// Bit n: page n of the visible memory.
  private(set) var visible = [UInt64](repeating: 0, count: visibleWords)
  /// Bit n: page n of the text window.
  var text: UInt64 = 0

  var anyVisible: Bool { visible.contains { $0 != 0 } }

  mutating func mark(byte offset: Int) {
    let page = (offset & VideoMemory.byteMask) &>> 12
    visible[page &>> 6] |= 1 &<< UInt64(page & 63)
  }

  mutating func mark(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    let first = max(0, range.lowerBound) >> 12
    let last = min(VideoMemory.visibleBytes - 1, range.upperBound - 1) >> 12
    guard first <= last else { return }
    for page in first...last { visible[page >> 6] |= 1 &<< UInt64(page & 63) }
  }

  mutating func markText(byte offset: Int) {
    text |= 1 &<< UInt64((offset & (VideoMemory.textBytes - 1)) &>> 12)
  }

  /// ORs the dirty pages of `window`, which shows the visible memory from `offset` on.
  /// - Returns: whether there were any.
  mutating func take(from window: MemoryWindow, offset: Int, size: Int) -> Bool {
    Self.taken(from: window, words: MemoryWindow.dirtyWords(size)) { index, word in
      let page = offset / 4096 + index * 64
      guard page / 64 < visible.count else { return }
      visible[page / 64] |= word << UInt64(page % 64)
      if page % 64 != 0, page / 64 + 1 < visible.count {
        visible[page / 64 + 1] |= word >> UInt64(64 - page % 64)
      }
    }
  }

  /// ORs the dirty pages of `window`, which shows the text window.
  /// - Returns: whether there were any.
  mutating func takeText(from window: MemoryWindow) -> Bool {
    Self.taken(from: window, words: 1) { _, word in text |= word }
  }

  /// ORs all pages of `window`, which shows the whole visible memory.
  /// - Returns: whether there were any.
  mutating func takeAll(from window: MemoryWindow) -> Bool {
    Self.taken(from: window, words: Self.visibleWords) { index, word in visible[index] |= word }
  }

  /// Calls `body` for each word of the window's dirty pages that is not zero.
  private static func taken(
    from window: MemoryWindow, words: Int, _ body: (Int, UInt64) -> Void
  ) -> Bool {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: max(1, words)) { buffer in
      buffer.initialize(repeating: 0)
      window.takeDirtyPages(into: buffer)
      var found = false
      for index in buffer.indices where buffer[index] != 0 {
        found = true
        body(index, buffer[index])
      }
      return found
    }
  }

  /// Whether a page of the `count` bytes from `offset` on was written; both wrap at `mask` + 1.
  func touches(_ offset: Int, _ count: Int, mask: Int = VideoMemory.byteMask) -> Bool {
    guard count > 0 else { return false }
    let first = (offset & mask) &>> 12
    let last = first + ((offset & 4095) + min(count, mask + 1) - 1) >> 12
    for page in first...last {
      let wrapped = page & (mask &>> 12)
      if visible[wrapped &>> 6] & (1 &<< UInt64(wrapped & 63)) != 0 { return true }
    }
    return false
  }
}
