import Glibc
import KVMEngine
import Storage
import Synchronization

/// The file in which a desktop's stock firmware keeps its variables: an image of the flash chip that
/// has them.
///
/// A block is written in one piece, which lies within a page of the host's, so that whoever kills the
/// process leaves the old block or the new one. What was written reaches the host's storage once the
/// firmware has been still for a moment, and when the desktop ends.
final class FirmwareVariables: Sendable {
  /// What the file had when it was opened.
  let contents: [UInt8]
  private let image: RawImage
  private let log: @Sendable (String) -> Void
  private let isUnsynced = Mutex(false)
  private let timer = Mutex<(any DeviceTimer)?>(nil)
  private let clock: any Clock
  /// Nanoseconds from the last write to when it is made safe.
  private static let quiet: UInt64 = 300_000_000

  /// Opens `path`, and makes it from `template` where it is not there.
  /// - Throws: a sentence for the user.
  init(
    path: String, template: [UInt8], clock: any Clock, log: @escaping @Sendable (String) -> Void
  ) throws {
    if access(path, F_OK) != 0 && errno == ENOENT { try Self.make(path, template) }
    image = try RawImage(path: path, readOnly: false)
    guard image.byteCount == UInt64(template.count) else {
      throw MachineError(
        "\(path) holds no variables of this firmware: it has \(image.byteCount) bytes instead of "
          + "\(template.count)")
    }
    contents = try image.bytes(sector: 0, count: Int(image.sectorCount))
    self.clock = clock
    self.log = log
    let new = clock.makeTimer("firmware-variables") { [weak self] in self?.flush() }
    timer.withLock { $0 = new }
  }

  /// Writes `bytes` beside `path`, and gives them the name once they are safe, unless somebody else
  /// was quicker.
  private static func make(_ path: String, _ bytes: [UInt8]) throws(MachineError) {
    let draft = "\(path).\(getpid()).new"
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(path, errno) }
    defer {
      close(descriptor)
      unlink(draft)
    }
    var done = 0
    while done < bytes.count {
      let put = bytes.withUnsafeBytes { all in
        write(descriptor, all.baseAddress.map { $0 + done }, all.count - done)
      }
      if put < 0 && errno == EINTR { continue }
      guard put > 0 else { throw failure(path, put == 0 ? ENOSPC : errno) }
      done += put
    }
    guard fsync(descriptor) == 0 else { throw failure(path, errno) }
    guard link(draft, path) == 0 || errno == EEXIST else { throw failure(path, errno) }
  }

  private static func failure(_ path: String, _ code: Int32) -> MachineError {
    MachineError("cannot make \(path) for the firmware's variables: \(HostError.text(of: code))")
  }

  /// Writes block `number` of the flash chip.
  func keep(_ number: Int, _ bytes: UnsafeRawBufferPointer) {
    let perBlock = ParallelFlash.blockBytes / Sector.bytes
    do {
      try image.write(sector: UInt64(number * perBlock), count: perBlock, from: bytes)
    } catch {
      return log("the firmware's variables are not kept: \(error)")
    }
    isUnsynced.withLock { $0 = true }
    let deadline = clock.now() &+ Self.quiet
    timer.withLock { $0?.arm(at: deadline) }
  }

  /// Returns when all that was written has reached the host's storage.
  func flush() {
    guard
      isUnsynced.withLock({ unsynced in
        defer { unsynced = false }
        return unsynced
      })
    else { return }
    do { try image.flush() } catch { log("the firmware's variables may be lost: \(error)") }
  }
}
