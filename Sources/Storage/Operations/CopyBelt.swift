import KVMEngine

/// Pieces of an image on their way into a copy: one thread reads them, others prepare them where that
/// is work, and one writes them in the order in which they were read.
///
/// There are as many pieces as were made in the beginning, and each goes round. The reader is whoever
/// made the belt. Where the host has no room for threads the reader does all of it.
final class CopyBelt: @unchecked Sendable {
  // SAFETY: the numbers are guarded by `monitor`. A piece is the reader's until it is sent, then a
  // preparer's until it is ready, then the writer's until it is counted as written.
  private let monitor = Monitor()
  private let pieces: [CopyPiece]
  private let prepare: @Sendable (CopyPiece) -> Void
  private let write: @Sendable (CopyPiece) throws(ImageError) -> Void
  /// How many pieces were sent, given to a preparer, and written.
  private var sent = 0
  private var taken = 0
  private var written = 0
  private var isReady: [Bool]
  /// Nothing more is sent.
  private var hasEnded = false
  /// Nothing more is written.
  private var isCancelled = false
  private var failure: ImageError?
  private var writer: Thread?
  private var preparers: [Thread] = []

  /// - Parameters:
  ///   - preparers: threads beside the reader and the writer; 0 where the reader prepares.
  ///   - prepare: makes ``CopyPiece/found`` from what was loaded.
  ///   - write: writes what was found.
  init(
    _ pieces: [CopyPiece], preparers count: Int, prepare: @escaping @Sendable (CopyPiece) -> Void,
    write: @escaping @Sendable (CopyPiece) throws(ImageError) -> Void
  ) {
    self.pieces = pieces
    self.prepare = prepare
    self.write = write
    isReady = [Bool](repeating: false, count: pieces.count)
    writer = try? Thread(name: "copy write") { [self] in writeAll() }
    guard writer != nil else { return }
    for _ in 0..<count {
      guard let thread = try? Thread(name: "copy pack", body: { [self] in prepareAll() }) else {
        break
      }
      preparers.append(thread)
    }
  }

  /// The reader's piece.
  var piece: CopyPiece { pieces[sent % pieces.count] }

  /// Sends the reader's piece, and returns when there is another one.
  /// - Throws: what was wrong with writing, this piece or one before.
  func send() throws(ImageError) {
    let piece = piece
    if preparers.isEmpty { prepare(piece) }
    guard writer != nil else {
      try write(piece)
      return piece.clear()
    }
    monitor.lock()
    isReady[sent % pieces.count] = preparers.isEmpty
    sent += 1
    monitor.broadcast()
    while sent - written >= pieces.count && failure == nil { monitor.wait() }
    let failure = failure
    monitor.unlock()
    if let failure { throw failure }
  }

  /// Returns when all that was sent is written, and ends the threads.
  func finish() throws(ImageError) {
    if !piece.isEmpty { try send() }
    end(cancels: false)
    if let failure { throw failure }
  }

  /// Ends the threads; what was sent may be written or not.
  func stop() { end(cancels: true) }

  private func end(cancels: Bool) {
    monitor.withLock {
      hasEnded = true
      isCancelled = isCancelled || cancels
      monitor.broadcast()
    }
    for thread in preparers { thread.join() }
    writer?.join()
  }

  private func prepareAll() {
    while true {
      monitor.lock()
      while taken == sent && !hasEnded && !isCancelled { monitor.wait() }
      guard taken < sent, !isCancelled else { return monitor.unlock() }
      let number = taken % pieces.count
      taken += 1
      monitor.unlock()
      prepare(pieces[number])
      monitor.withLock {
        isReady[number] = true
        monitor.broadcast()
      }
    }
  }

  private func writeAll() {
    while true {
      let number = written % pieces.count
      monitor.lock()
      while !(written < sent && isReady[number]) && !(hasEnded && written == sent) && !isCancelled {
        monitor.wait()
      }
      guard written < sent, !isCancelled else { return monitor.unlock() }
      monitor.unlock()
      do throws(ImageError) { try write(pieces[number]) } catch {
        return monitor.withLock {
          failure = error
          isCancelled = true
          monitor.broadcast()
        }
      }
      pieces[number].clear()
      monitor.withLock {
        isReady[number] = false
        written += 1
        monitor.broadcast()
      }
    }
  }
}
