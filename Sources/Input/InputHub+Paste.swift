import KVMEngine
import Synchronization

/// Text that a viewer copied, typed into the guest on request: no guest needs a program for it.
extension InputHub {
  /// Bytes of a copied text that are kept, in UTF-8.
  public static let longestPaste = 65_536

  /// A viewer copied `text`.
  public func viewerCopied(_ viewer: UInt64, _ text: String) {
    let bytes = text.utf8.count
    guard bytes <= Self.longestPaste else { return viewerCopiedTooMuch(viewer, bytes: bytes) }
    state.withLock { $0.clipboard.take(text, from: viewer) }
  }

  /// A viewer copied a text that has too many bytes to be read.
  public func viewerCopiedTooMuch(_ viewer: UInt64, bytes: Int) {
    state.withLock { $0.clipboard.takeTooLong(bytes, from: viewer) }
  }

  /// Types what a viewer copied last, and returns when the guest has read all of it.
  /// - Throws: ``PasteError`` or ``TypeError``.
  public func paste() throws { try paste(endedBy: { false }) }

  private func paste(endedBy isEnded: @escaping () -> Bool) throws {
    let clipboard = state.withLock { $0.clipboard }
    try type(try clipboard.text(), endedBy: isEnded)
  }

  /// Sets the keys that make a viewer's text be typed when a viewer presses them together; without
  /// one, none do. `report` gets a sentence where it fails, from a thread of the hub's.
  public func pasteKey(_ chord: Chord?, report: @escaping @Sendable (String) -> Void) {
    state.withLock { state in
      state.pasteKey = chord
      state.report = report
    }
  }

  /// Ends a paste that is under way and waits for its thread. No key starts another afterwards.
  public func stop() {
    state.withLock { $0.pasteKey = nil }
    isStopping.store(true, ordering: .releasing)
    monitor.withLock { monitor.broadcast() }
    let thread = state.withLock { state in
      defer { state.paster = nil }
      return state.paster
    }
    thread?.join()
  }

  /// Takes a key press that completes the keys for pasting: starts a paste, or ends the one that is
  /// under way. They are the guest's where their viewer has copied nothing.
  /// - Returns: what the keyboard has to do; nil where the press is an ordinary one.
  func takePasteKey(
    viewer: UInt64, key: PhysicalKey?, keysym: UInt32, isPlace: Bool, _ state: inout State
  ) -> [KeyStroke]? {
    guard let key, let chord = state.pasteKey, state.clipboard.owner == viewer,
      state.keys.completes(chord, viewer: viewer, key: key)
    else { return nil }
    pasteKeyPressed(&state)
    return state.keys.spend(viewer: viewer, key: key, keysym: keysym, isPlace: isPlace)
  }

  private func pasteKeyPressed(_ state: inout State) {
    if state.isPasting { return isCancelled.store(true, ordering: .releasing) }
    state.paster?.join()
    isCancelled.store(false, ordering: .releasing)
    // The hub outlives the thread: it is joined by `stop()`.
    state.paster = try? Thread(name: "paste") { [unowned self] in pasteByKey() }
    state.isPasting = state.paster != nil
  }

  private func pasteByKey() {
    var problem: String?
    do { try paste(endedBy: { self.isCancelled.load(ordering: .acquiring) }) } catch {
      problem = "nothing more is pasted: \(error)"
    }
    let report = state.withLock { state in
      state.isPasting = false
      return state.report
    }
    let wasEnded = isCancelled.load(ordering: .acquiring) || isStopping.load(ordering: .acquiring)
    if let problem, !wasEnded { report?(problem) }
    isCancelled.store(false, ordering: .releasing)
  }
}
