import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from .version import VERSION

db = SQLAlchemy()


class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    text = db.Column(db.Text)


def create_app():
    app = Flask(__name__, instance_path=os.path.join(os.getcwd(), "instance"))
    app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///notes.db"
    db.init_app(app)
    Migrate(app, db)

    @app.get("/")
    def page():
        return f"version {VERSION}, {db.session.query(Note).count()} notes\n"

    return app
