"""What a person does and sees: their Slack client and the web page."""
