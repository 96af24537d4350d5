import Glibc
import Synchronization

/// Signals that end a command while it makes something: what is half-made is taken away first.
enum Interruption {
  /// A signal came that ends the command.
  struct Caught: Error {
    let signal: Int32
  }

  private static let ending = [SIGINT, SIGTERM, SIGHUP]
  /// The first signal that came; 0 is none.
  private static let caught = Atomic<Int32>(0)

  /// Runs `body`, which looks for signals by ``check()``; where it fails and one has come, the process
  /// ends by that, for `body` has cleared away. Signals that were ignored stay so.
  static func clearing<Result>(_ body: () throws -> Result) throws -> Result {
    // Before a handler needs it: what is made at first use takes a lock.
    caught.store(0, ordering: .relaxed)
    for number in ending where !isIgnored(number) { handle(number, { Interruption.note($0) }) }
    defer { for number in ending where !isIgnored(number) { handle(number, SIG_DFL) } }
    do {
      return try body()
    } catch {
      let number = caught.load(ordering: .relaxed)
      if number != 0 {
        handle(number, SIG_DFL)
        raise(number)
      }
      throw error
    }
  }

  /// Whether a signal came.
  static var isPending: Bool { caught.load(ordering: .relaxed) != 0 }

  /// - Throws: ``Caught`` once a signal has come.
  static func check() throws(Caught) {
    let number = caught.load(ordering: .relaxed)
    guard number == 0 else { throw Caught(signal: number) }
  }

  private static func note(_ number: Int32) {
    _ = caught.compareExchange(expected: 0, desired: number, ordering: .relaxed)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    // SAFETY: SIG_IGN is compared as the number that it is.
    return sigaction(number, nil, &action) == 0
      && unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// Without SA_RESTART: a wait ends, and its loop looks for signals.
  private static func handle(_ number: Int32, _ handler: __sighandler_t?) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = handler
    sigaction(number, &action, nil)
  }
}
