import Input

/// Turns one request's line into one reply, whatever the line holds.
struct ControlDispatcher: Sendable {
  /// Clicks that one request may ask for.
  private static let mostClicks = 100

  let desktop: any DesktopControl

  /// A reply and the bytes behind it.
  struct Answer: Equatable, Sendable {
    var reply: ControlReply
    var body: [UInt8] = []
    /// The desktop is to stop once the reply is out.
    var stops = false
    /// Events follow the reply, until the peer goes.
    var subscribes = false
  }

  /// Serves the request in `line`.
  func answer(_ line: [UInt8]) -> Answer {
    guard let request = try? ControlCoding.message(ControlRequest.self, in: line) else {
      return refuse(nil, .badRequest, "the line is no request: {\"v\":1,\"method\":\"status\"}")
    }
    guard request.v == ControlProtocol.version else {
      return refuse(
        request.id, .unsupportedVersion,
        "this desktop speaks version \(ControlProtocol.version) of the control protocol")
    }
    guard let method = ControlMethod(rawValue: request.method) else {
      let known = ControlMethod.allCases.map(\.rawValue).joined(separator: ", ")
      return refuse(request.id, .unknownMethod, "there is no such method; there are \(known)")
    }
    do {
      return try perform(method, request)
    } catch let failure as ControlFailure {
      return Answer(reply: ControlReply(id: request.id, error: failure))
    } catch {
      return refuse(request.id, .failed, String(describing: error))
    }
  }

  private func perform(_ method: ControlMethod, _ request: ControlRequest) throws -> Answer {
    var answer = Answer(reply: ControlReply(id: request.id))
    switch method {
    case .status: answer.reply.status = desktop.status
    case .screenshot:
      let wish = PictureWish(region: request.region, scale: request.scale)
      let (file, facts) = try desktop.screenshot(wish)
      answer.body = file
      answer.reply.picture = facts
      answer.reply.body = answer.body.count
    case .frame:
      let frame = try desktop.frame(steady: request.steady ?? false)
      let description = ControlFrame(frame)
      answer.reply.frame = description
      if description.mark != request.mark {
        answer.body = ControlFrame.pixels(of: frame)
        answer.reply.body = answer.body.count
      }
    case .text: answer.reply.text = try desktop.text()
    case .serial: answer.reply.text = desktop.serial
    case .type: try desktop.type(try needed(request.text, "type", "text"))
    case .key: try desktop.press(try needed(request.chord, "key", "chord"))
    case .paste: try desktop.paste()
    case .click: try click(request)
    case .pause: try desktop.pause()
    case .resume: try desktop.resume()
    case .save:
      answer.stops = request.stops ?? false
      try desktop.save(try neededPath(request.path), holds: answer.stops)
    case .reset: desktop.reset()
    case .powerdown: try desktop.pressPowerButton()
    case .stop: answer.stops = true
    case .subscribe:
      answer.reply.status = desktop.status
      answer.subscribes = true
    }
    return answer
  }

  private func click(_ request: ControlRequest) throws {
    guard let x = request.x, let y = request.y else {
      throw ControlFailure(
        code: .badRequest, message: "click needs the fields \"x\" and \"y\"")
    }
    let name = request.button ?? PointerButton.left.rawValue
    let button = PointerButton(rawValue: name)
    let times = request.times ?? 1
    guard button != nil || name == "none", (1...Self.mostClicks).contains(times) else {
      let names = PointerButton.allCases.map(\.rawValue).joined(separator: ", ")
      throw ControlFailure(
        code: .badRequest,
        message: "click takes a button of \(names) or none, and 1 to \(Self.mostClicks) times")
    }
    try desktop.click(button, times: times, x: x, y: y)
  }

  private func neededPath(_ path: String?) throws(ControlFailure) -> String {
    let path = try needed(path, "save", "path")
    guard path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw ControlFailure(code: .badRequest, message: "save needs a path that begins with /")
    }
    return path
  }

  private func needed(
    _ value: String?, _ method: String, _ field: String
  ) throws(ControlFailure) -> String {
    guard let value else {
      throw ControlFailure(code: .badRequest, message: "\(method) needs the field \"\(field)\"")
    }
    return value
  }

  private func refuse(_ id: Int?, _ code: ControlFailure.Code, _ message: String) -> Answer {
    Answer(reply: ControlReply(id: id, error: ControlFailure(code: code, message: message)))
  }
}
