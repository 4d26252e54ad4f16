fetch("")
