"""What drivers of networked relays share: the polling (`driver`), and talking over HTTP (`web`) or MQTT (`broker`)."""
