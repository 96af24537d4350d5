/// What interrupt wires end at: an interrupt controller, or a recorder in a test.
public protocol InterruptSink: AnyObject, Sendable {
  /// Drives wire `number` to a level. Called from any thread; the sink's own lock comes after every
  /// device's lock, and a sink never calls back into a device.
  func setLine(_ number: Int, asserted: Bool)
}

/// One interrupt wire, as a device sees it.
public struct InterruptLine: Sendable {
  private let sink: any InterruptSink
  /// Which wire of the sink this is: for ISA devices the IRQ, 0 to 15.
  public let number: Int

  public init(sink: any InterruptSink, number: Int) {
    self.sink = sink
    self.number = number
  }

  /// Drives the wire high (`true`) or low. Setting the level it has changes nothing.
  public func set(_ asserted: Bool) { sink.setLine(number, asserted: asserted) }

  /// Low, then high: one edge for an edge-triggered input.
  public func pulse() {
    sink.setLine(number, asserted: false)
    sink.setLine(number, asserted: true)
  }
}
