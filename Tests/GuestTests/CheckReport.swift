import Glibc
import KVMEngine
import Machine
import Testing

/// What a guest that checks things said on its serial port (Guests/checks.inc).
struct CheckReport {
  var passed: [String] = []
  /// Whole lines: what was got, what was expected.
  var failed: [String] = []
  /// Lines of the form `KEY: VALUE`.
  var values: [String: String] = [:]
  var isWhole = false

  init(_ serial: String) {
    for line in Self.lines(serial) {
      if line.hasPrefix("ok ") {
        passed.append(String(line.dropFirst(3)))
      } else if line.hasPrefix("FAIL ") {
        failed.append(String(line.dropFirst(5)))
      } else if line == "done" {
        isWhole = true
      } else if let colon = line.firstIndex(of: ":") {
        values[String(line[..<colon])] = String(
          line[line.index(after: colon)...].drop { $0 == " " })
      }
    }
  }

  /// The complete lines of what came over a serial line.
  static func lines(_ serial: String) -> [String] {
    let scalars = serial.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    return scalars.dropLast().map { line in
      String(String.UnicodeScalarView(line.filter { $0 != "\r" }))
    }
  }

  /// Fails the test for each check that failed, and where the guest did not come to its end.
  func expectSuccess(_ reason: StopReason, checks: Int) {
    for line in failed { Issue.record("the guest says: \(line)") }
    let last = passed.last ?? "none"
    #expect(isWhole, "the guest ended early; the last check that passed is \(last)")
    #expect(reason == .debugExit(UInt8(clamping: failed.count)))
    #expect(passed.count + failed.count >= checks, "the guest made fewer checks than it should")
  }
}

extension GuestRun {
  /// Does what the guest asks for on its serial port until the machine has stopped: `press CHORD`,
  /// `hold KEYSYM`, `release KEYSYM` and `move X Y BUTTONS` (keysym in hexadecimal, place in a
  /// picture of 640x480).
  func answerRequests() throws -> (reason: StopReason, report: CheckReport) {
    let helper = try Thread(name: "hands") { [self] in
      var seen = 0
      while !hasEnded {
        let lines = CheckReport.lines(serial)
        for line in lines.dropFirst(seen) { answer(line) }
        seen = lines.count
        usleep(5000)
      }
    }
    let reason = waitForEnd()
    helper.join()
    return (reason, CheckReport(serial))
  }

  func answer(_ line: String) {
    let words = line.split(separator: " ").map { String($0) }
    let hub = machine.inputHub
    switch words.first {
    case "press" where words.count == 2: try? hub.press(chord: words[1])
    case "hold" where words.count == 2:
      if let keysym = UInt32(words[1], radix: 16) {
        hub.key(viewer: 7, keysym: keysym, pressed: true)
      }
    case "release" where words.count == 2:
      if let keysym = UInt32(words[1], radix: 16) {
        hub.key(viewer: 7, keysym: keysym, pressed: false)
      }
    case "move" where words.count == 4:
      if let x = Int(words[1]), let y = Int(words[2]), let buttons = UInt8(words[3]) {
        hub.pointer(viewer: 7, x: x, y: y, buttons: buttons, width: 640, height: 480)
      }
    default: break
    }
  }
}
