/// The one-byte opcodes whose ModRM.reg says what they are: F6h, F7h, FEh and FFh (Intel SDM vol. 2,
/// table A-6). Each returns whether the block ends.
extension Decoder {
  mutating func decodeGroup3(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let size = opcode & 1 == 0 ? 0 : operandSize
    readModRM(o, size)
    o.pointee.size = size
    switch modrmField {
    case 0, 1:
      o.pointee.imm = immediate(size)
      if isMemory {
        o.pointee.go = Handlers.arithmetic(8, .memoryImmediate, size)
      } else {
        o.pointee.reg = o.pointee.rm
        o.pointee.go = Handlers.arithmetic(8, .registerImmediate, size)
        markFusible(o, 8, immediate: true, size)
      }
    case 2, 3:
      allowLock(o)
      o.pointee.aux = modrmField
      o.pointee.go =
        hasLock
        ? Handlers.lockedUnary : Handlers.notNegate(negate: modrmField == 3, memory: isMemory, size)
    case 4, 5:
      o.pointee.aux = modrmField
      o.pointee.run = Handlers.multiply
    default:
      o.pointee.aux = modrmField
      o.pointee.run = Handlers.divide
    }
    return false
  }

  mutating func decodeGroup5(_ opcode: UInt8, _ o: OpRef) -> Bool {
    let size = opcode & 1 == 0 ? 0 : operandSize
    readModRM(o, size)
    o.pointee.size = size
    switch modrmField {
    case 0, 1:
      allowLock(o)
      o.pointee.aux = modrmField
      o.pointee.go =
        hasLock
        ? Handlers.lockedUnary : Handlers.incDec(dec: modrmField == 1, memory: isMemory, size)
      return false
    case 2 where size != 0, 4 where size != 0:
      if codeSize == 3 { operandSize = 3 }
      o.pointee.size = operandSize
      o.pointee.go =
        modrmField == 2 ? Handlers.callIndirect(operandSize) : Handlers.jumpIndirect(operandSize)
    case 3 where size != 0 && isMemory: o.pointee.run = Handlers.callFarIndirect
    case 5 where size != 0 && isMemory: o.pointee.run = Handlers.jumpFarIndirect
    case 6 where size != 0:
      if codeSize == 3 { operandSize = operandSize == 1 ? 1 : 3 }
      o.pointee.size = operandSize
      o.pointee.run = Handlers.pushOperand
      return false
    default: break
    }
    return true
  }
}
