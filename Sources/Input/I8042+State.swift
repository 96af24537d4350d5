extension I8042 {
  /// What a write asks of the world outside.
  struct Effects {
    var a20: Bool?
    var reset = false
  }

  /// Bits of the command byte, which is byte 0 of the controller's memory.
  enum CommandByte {
    static let keyboardInterrupt: UInt8 = 0x01
    static let mouseInterrupt: UInt8 = 0x02
    static let systemFlag: UInt8 = 0x04
    static let keyboardDisabled: UInt8 = 0x10
    static let mouseDisabled: UInt8 = 0x20
    static let translate: UInt8 = 0x40
    /// After power-on: translating, with both interfaces disabled and no interrupts.
    static let initial: UInt8 = translate | keyboardDisabled | mouseDisabled
  }

  /// Bits of the status register.
  enum Status {
    static let outputFull: UInt8 = 0x01
    static let systemFlag: UInt8 = 0x04
    static let lastWasCommand: UInt8 = 0x08
    static let notLocked: UInt8 = 0x10
    static let fromMouse: UInt8 = 0x20
  }

  /// Where the byte in the output buffer came from.
  enum Source: String, Codable, Sendable {
    case keyboard, mouse, controller
  }

  /// A byte of the controller's own that waits for the output buffer.
  struct Reply: Codable, Equatable, Sendable {
    var byte: UInt8
    var source: Source
  }

  /// All that the controller, the keyboard and the mouse hold.
  public struct State: Codable, Equatable, Sendable {
    static let memorySize = 32
    /// Replies that wait at most, for a host that never reads them.
    static let replyLimit = 16

    /// The controller's 32 bytes; byte 0 is the command byte.
    var memory: [UInt8] = [CommandByte.initial] + [UInt8](repeating: 0, count: memorySize - 1)
    /// The last byte that was put before the host. It stays readable.
    var output: UInt8 = 0
    var outputFull = false
    var source = Source.controller
    /// Whether the last write went to port 64h.
    var lastWasCommand = false
    /// The command whose data byte comes next.
    var expecting: UInt8?
    var replies: [Reply] = []
    /// Address line 20 is let through.
    var a20 = true
    /// Status bits 7 to 4 while C1h or C2h show the input port there.
    var polledInput: UInt8?
    /// The translation has taken a break prefix away.
    var breakFollows = false
    /// Which device had its turn last.
    var mouseHadTurn = false
    /// No device's byte comes before, nanoseconds, where interrupts are enabled.
    var nextByte: UInt64 = 0
    var keyboard = PS2Keyboard()
    var mouse = PS2Mouse()
    var vmware = VMwarePointer()

    var commandByte: UInt8 { memory.first ?? 0 }

    private func has(_ bit: UInt8) -> Bool { commandByte & bit != 0 }

    var keyboardDisabled: Bool { has(CommandByte.keyboardDisabled) }
    var mouseDisabled: Bool { has(CommandByte.mouseDisabled) }

    mutating func set(_ bit: UInt8, _ value: Bool) {
      memory[0] = value ? commandByte | bit : commandByte & ~bit
    }

    /// The status register, port 64h.
    var status: UInt8 {
      var status = Status.notLocked
      if outputFull { status |= Status.outputFull }
      if has(CommandByte.systemFlag) { status |= Status.systemFlag }
      if lastWasCommand { status |= Status.lastWasCommand }
      if outputFull && source == .mouse { status |= Status.fromMouse }
      if let polledInput { status = status & 0x0F | polledInput }
      return status
    }

    /// IRQ 1: the output buffer is full and not from the mouse. An answer of the controller itself
    /// does not interrupt while the keyboard is disabled: that is how software asks for one
    /// without its own handler taking it away.
    var irq1: Bool {
      guard outputFull, has(CommandByte.keyboardInterrupt) else { return false }
      return source == .keyboard || (source == .controller && !keyboardDisabled)
    }

    /// IRQ 12: the output buffer is full and from the mouse.
    var irq12: Bool { outputFull && source == .mouse && has(CommandByte.mouseInterrupt) }

    // MARK: Output buffer

    /// The host reads port 60h. With an empty buffer it finds the last byte once more.
    mutating func takeOutput(now: UInt64) -> UInt8 {
      if outputFull {
        outputFull = false
        nextByte = now &+ I8042.bytePause
      }
      return output
    }

    mutating func reply(_ byte: UInt8, from source: Source = .controller) {
      guard replies.count < Self.replyLimit else { return }
      replies.append(Reply(byte: byte, source: source))
    }

    private var keyboardWaits: Bool { !keyboardDisabled && keyboard.hasByte }
    private var mouseWaits: Bool { !mouseDisabled && mouse.hasByte }

    /// Whether something wants into the output buffer.
    var hasWaiting: Bool { !replies.isEmpty || keyboardWaits || mouseWaits }

    private var pauses: Bool { has(CommandByte.keyboardInterrupt | CommandByte.mouseInterrupt) }

    /// Does what is due at `now`.
    /// - Returns: when there will be more to do by itself.
    mutating func advance(to now: UInt64) -> UInt64? {
      keyboard.advance(to: now)
      mouse.advance(to: now)
      fillOutput(now)
      return deadline
    }

    /// When ``advance(to:)`` has something to do, if the host does nothing before.
    var deadline: UInt64? {
      var deadline = min(keyboard.repeatAt ?? .max, mouse.deadline ?? .max)
      if !outputFull && hasWaiting { deadline = min(deadline, nextByte) }
      return deadline == .max ? nil : deadline
    }

    private mutating func fillOutput(_ now: UInt64) {
      if !outputFull, !replies.isEmpty {
        let reply = replies.removeFirst()
        load(reply.byte, from: reply.source)
      }
      // Translation swallows break prefixes, so a device may be asked twice.
      while !outputFull, keyboardWaits || mouseWaits, !pauses || now >= nextByte {
        if mouseWaits && !(keyboardWaits && mouseHadTurn) {
          takeFromMouse()
        } else {
          takeFromKeyboard(now)
        }
      }
    }

    private mutating func takeFromMouse() {
      guard let byte = mouse.takeByte() else { return }
      mouseHadTurn = true
      load(byte, from: .mouse)
    }

    private mutating func takeFromKeyboard(_ now: UInt64) {
      guard let (byte, isResponse) = keyboard.takeByte() else { return }
      keyboard.advance(to: now)
      mouseHadTurn = false
      guard has(CommandByte.translate) else { return load(byte, from: .keyboard) }
      if isResponse { return load(ScanCodeTranslation.translate(byte), from: .keyboard) }
      if byte == ScanCodeTranslation.breakPrefix {
        breakFollows = true
        return
      }
      let code = ScanCodeTranslation.translate(byte)
      load(breakFollows ? code | 0x80 : code, from: .keyboard)
      breakFollows = false
    }

    private mutating func load(_ byte: UInt8, from source: Source) {
      output = byte
      self.source = source
      outputFull = true
    }
  }
}

extension I8042.State {
  /// Turns points in time into nanoseconds from `now`, since the clock of the machine that restores
  /// them is another one.
  mutating func makeTimesRelative(to now: UInt64) {
    func relative(_ time: UInt64) -> UInt64 { time > now ? time - now : 0 }
    nextByte = relative(nextByte)
    mouse.nextSample = relative(mouse.nextSample)
    keyboard.repeatAt = keyboard.repeatAt.map(relative)
  }

  /// The opposite of ``makeTimesRelative(to:)``.
  mutating func makeTimesAbsolute(at now: UInt64) {
    nextByte = now &+ nextByte
    mouse.nextSample = now &+ mouse.nextSample
    keyboard.repeatAt = keyboard.repeatAt.map { now &+ $0 }
  }

  /// Why this can't be the state of such a controller; nil where it can.
  var problem: String? {
    let second: UInt64 = 1_000_000_000
    if memory.count != Self.memorySize { return "the controller's memory has 32 bytes" }
    if replies.count > Self.replyLimit { return "too many replies wait" }
    if !(1...3).contains(keyboard.scanSet) { return "no scan code set \(keyboard.scanSet) exists" }
    if keyboard.typematic > 0x7F || keyboard.leds > 7 { return "the keyboard has no such setting" }
    if keyboard.buffer.count > PS2Keyboard.bufferSize + 1
      || keyboard.responses.count > PS2Keyboard.bufferSize + 2
    {
      return "the keyboard's buffer is too long"
    }
    if keyboard.backlog.count > PS2Keyboard.backlogLimit + PhysicalKey.allCases.count
      || keyboard.down.count > PhysicalKey.allCases.count
    {
      return "there are not so many keys"
    }
    if keyboard.repeatAt ?? 0 > second || mouse.nextSample > second || nextByte > second {
      return "a timer is too far away"
    }
    if (keyboard.repeatAt == nil) != (keyboard.repeating == nil) { return "no key repeats" }
    if ![PS2Mouse.standard, PS2Mouse.intelliMouse, PS2Mouse.explorer].contains(mouse.identity) {
      return "mouse type \(mouse.identity) does not exist"
    }
    if let problem = vmware.problem { return problem }
    if !(10...200).contains(mouse.sampleRate) || mouse.resolution > 3 {
      return "the mouse has no such setting"
    }
    if mouse.packet.count > 4 || mouse.pending.count > PS2Mouse.pendingLimit + 1
      || mouse.responses.count > PS2Mouse.responseLimit
      || mouse.lastReply.count > PS2Mouse.responseLimit || mouse.knock.count > 3
    {
      return "the mouse's buffer is too long"
    }
    let limit = -2 * PS2Mouse.motionLimit...2 * PS2Mouse.motionLimit
    let events = mouse.pending + [mouse.unsent].compactMap { $0 }
    let bounded = events.allSatisfy {
      limit.contains($0.x) && limit.contains($0.y) && limit.contains($0.z) && limit.contains($0.w)
    }
    return bounded ? nil : "the mouse moved too far"
  }
}
